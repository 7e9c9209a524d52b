/* The table of one instruction set. */
#include "lanes_vector.h"

#if defined(__AVX512F__)
#define NAME "AVX-512"
#elif defined(__AVX2__)
#define NAME "AVX2 and FMA"
#elif defined(__ARM_NEON)
#define NAME "NEON"
#else
#define NAME "baseline"
#endif

const struct sal_lanes SAL_NAMED(sal_lanes) = {
    .name = NAME,
    .pixels = SAL_PIXELS,
    .width = SAL_WIDTH,
    .tile = SAL_NAMED(sal_tile),
    .planar = SAL_NAMED(sal_tile_planar),
    .winograd_in = SAL_NAMED(sal_winograd_in),
    .winograd_out = SAL_NAMED(sal_winograd_out),
};
