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
    .depthwise = SAL_NAMED(sal_depthwise),
    .depthwise_back = SAL_NAMED(sal_depthwise_back),
    .mask = SAL_NAMED(sal_mask),
    .max_pool = SAL_NAMED(sal_max_pool),
    .average_pool = SAL_NAMED(sal_average_pool),
    .max_pool_back = SAL_NAMED(sal_max_pool_back),
    .average_pool_back = SAL_NAMED(sal_average_pool_back),
    .mean = SAL_NAMED(sal_mean),
    .add_pixel = SAL_NAMED(sal_add_pixel),
};
