/*
 * Deterministic numbers for tests.
 */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <stdint.h>

/* The next of a sequence in 0..1. Any state begins one. */
double test_random(uint64_t *state);

#endif
