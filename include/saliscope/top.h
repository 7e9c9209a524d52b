/*
 * The highest places of a map: which pixels are among the k with the highest values.
 *
 * Ties share. Where several pixels have the k-th highest value and not all of them have a
 * place, each is in by the same part of one, (places left) / (pixels of that value); so no
 * order of pixels decides, and a blank map has no top that it could share with another by
 * chance of place. No state, any thread; values are finite.
 */
#ifndef SALISCOPE_TOP_H
#define SALISCOPE_TOP_H

#include <stdint.h>

struct sal_top {
    int64_t k;   /* places, 1..n */
    float least; /* the k-th highest value; whatever is above it is in */
    int64_t left, equal; /* of places that are left for the `equal` pixels of that value */
};

/* A share of n pixels in places: rounded, at least 1 and at most n. */
int64_t sal_top_places(int64_t n, double share);

struct sal_top sal_top_find(const float *values, int64_t n, int64_t k);

/* How far a pixel of that value is in, 0..1; over all pixels these add up to k. */
double sal_top_part(const struct sal_top *top, float value);

/* The share of k places that two maps have in common, 0..1: the sum over pixels of the lesser
 * part, over k. For k of its own map each, ties apart, |A and B| / k (Ghorbani et al., AAAI
 * 2019). Both have the same k; of a map and itself it is exactly 1. */
double sal_top_overlap(const float *a, const struct sal_top *top_a, const float *b,
                       const struct sal_top *top_b, int64_t n);

#endif
