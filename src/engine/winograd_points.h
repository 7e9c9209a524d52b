/*
 * The points of F(4,3): 0, +-a, +-b and infinity.
 *
 * +-1 and +-2, as everybody writes them, lose most digits where their powers differ
 * most; between these the error is 2 (mean) to 5 times (greatest) less, and is that of
 * a plain sum of products within a factor of 2. All products below are exact in float.
 */
#ifndef SALISCOPE_ENGINE_WINOGRAD_POINTS_H
#define SALISCOPE_ENGINE_WINOGRAD_POINTS_H

#include "saliscope/tensor.h"

#define A ((sal_real)11 / 16)
#define B ((sal_real)11 / 8)
#define A2 (A * A)
#define B2 (B * B)

#endif
