/*
 * Random numbers that are counted, not drawn.
 *
 * A number is a function of (key, counter) alone, so it does not matter which thread
 * asks for it, in what order, or how many are asked for at once. The generator is
 * SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), number `counter` of the sequence that
 * begins at `key`. No state, any thread. Not for secrets.
 */
#ifndef SALISCOPE_RANDOM_H
#define SALISCOPE_RANDOM_H

#include <stdint.h>

/* A key of its own for each stream (a sample, a mask, ...) under one seed. */
uint64_t sal_random_key(uint64_t seed, uint64_t stream);

uint64_t sal_random_bits(uint64_t key, uint64_t counter);

/* In 0 <= u < 1, multiples of 2^-53. */
double sal_random_uniform(uint64_t key, uint64_t counter);

/* Two independent standard normal numbers (Box-Muller). */
void sal_random_normals(uint64_t key, uint64_t counter, double normals[2]);

#endif
