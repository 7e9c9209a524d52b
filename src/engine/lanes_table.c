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
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    .tile_bf16 = SAL_NAMED(sal_tile_bf16),
    .to_bf16 = SAL_NAMED(sal_to_bf16),
#endif
    .planar = SAL_NAMED(sal_tile_planar),
    .dots = SAL_NAMED(sal_dots),
    .pass = SAL_NAMED(sal_pass),
    .add_passed = SAL_NAMED(sal_add_passed),
    .mark = SAL_NAMED(sal_mark),
    .affine = SAL_NAMED(sal_affine),
    .affine_back = SAL_NAMED(sal_affine_back),
    .clamp = SAL_NAMED(sal_clamp),
    .clamp_back = SAL_NAMED(sal_clamp_back),
    .exp = SAL_NAMED(sal_map_exp),
    .erf = SAL_NAMED(sal_map_erf),
    .tanh = SAL_NAMED(sal_map_tanh),
    .sigmoid = SAL_NAMED(sal_map_sigmoid),
    .gelu = SAL_NAMED(sal_map_gelu),
    .gelu_slope = SAL_NAMED(sal_map_gelu_slope),
    .swish = SAL_NAMED(sal_map_swish),
    .hard_swish = SAL_NAMED(sal_map_hard_swish),
    .sigmoid_and_slope = SAL_NAMED(sal_sigmoid_and_slope),
    .swish_and_slope = SAL_NAMED(sal_swish_and_slope),
    .hard_swish_and_slope = SAL_NAMED(sal_hard_swish_and_slope),
    .softmax = SAL_NAMED(sal_row_softmax),
    .softmax_gradient = SAL_NAMED(sal_row_softmax_gradient),
    .softmax_pull = SAL_NAMED(sal_row_softmax_pull),
    .moments = SAL_NAMED(sal_row_moments),
    .normalise = SAL_NAMED(sal_row_normalise),
    .normalise_gradient = SAL_NAMED(sal_row_normalise_gradient),
    .depthwise = SAL_NAMED(sal_depthwise),
    .depthwise_back = SAL_NAMED(sal_depthwise_back),
    .max_pool = SAL_NAMED(sal_max_pool),
    .average_pool = SAL_NAMED(sal_average_pool),
    .max_pool_back = SAL_NAMED(sal_max_pool_back),
    .average_pool_back = SAL_NAMED(sal_average_pool_back),
    .sum_pixels = SAL_NAMED(sal_sum_pixels),
    .add_pixel = SAL_NAMED(sal_add_pixel),
    .add_scaled = SAL_NAMED(sal_add_scaled),
    .turn = SAL_NAMED(sal_turn),
    .winograd_weights = SAL_NAMED(sal_winograd_weights),
    .winograd_in = SAL_NAMED(sal_winograd_in),
    .winograd_out = SAL_NAMED(sal_winograd_out),
    .join = SAL_NAMED(sal_join),
    .join_back = SAL_NAMED(sal_join_back),
};
