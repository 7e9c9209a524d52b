/*
 * Deterministic numbers for tests.
 */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <stdint.h>

/* The next of a sequence in 0..1. Any state begins one. */
double test_random(uint64_t *state);

/* How many of n random cases to try: all, or where TEST_SHARE is set, that part of them and
 * at least one. Under valgrind the arithmetic is the same, and a tenth shows where memory
 * is touched. */
int test_some(int n);

#endif
