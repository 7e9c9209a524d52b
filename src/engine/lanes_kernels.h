/*
 * What each lanes_*.c defines, once per instruction set: one line per kernel here,
 * one in lanes_table.c, one member with its contract in lanes.h.
 */
#ifndef SALISCOPE_ENGINE_LANES_KERNELS_H
#define SALISCOPE_ENGINE_LANES_KERNELS_H

#include "lanes.h"

/* SAL_NAMED(sal_tile) is sal_tile_avx2 in the object for AVX2. */
#define SAL_PASTE(name, isa) name##_##isa
#define SAL_EXPAND(name, isa) SAL_PASTE(name, isa)
#define SAL_NAMED(name) SAL_EXPAND(name, SAL_ISA)

#ifdef SAL_ISA
void SAL_NAMED(sal_tile)(const struct sal_tile *t, int rows, int pixels, int width);
void SAL_NAMED(sal_tile_planar)(const struct sal_tile *t, int rows, int pixels,
                                int width);
void SAL_NAMED(sal_tile_bf16)(const struct sal_tile *t, int rows, int pixels, int width);
void SAL_NAMED(sal_to_bf16)(sal_real *to, ptrdiff_t to_step, const sal_real *x,
                            ptrdiff_t x_step, int64_t n);
void SAL_NAMED(sal_dots)(const struct sal_dots *d, int64_t n);
void SAL_NAMED(sal_pass)(sal_real *to, const struct sal_source *from, int64_t n);
void SAL_NAMED(sal_add_passed)(sal_real *to, const struct sal_source *from, int64_t n);
void SAL_NAMED(sal_mark)(uint16_t *bits, const sal_real *y, int64_t n, sal_real low,
                         sal_real high);
void SAL_NAMED(sal_affine)(sal_real *to, const sal_real *x,
                           const struct sal_affine *affine, size_t n);
void SAL_NAMED(sal_affine_back)(sal_real *dx, const sal_real *dy, const sal_real *x,
                                const struct sal_affine *affine, size_t n);
void SAL_NAMED(sal_clamp)(const sal_real *x, int64_t n, sal_real low, sal_real high,
                          sal_real *y);
void SAL_NAMED(sal_clamp_back)(const sal_real *x, const sal_real *dy, int64_t n,
                               sal_real low, sal_real high, bool open, sal_real *dx);
void SAL_NAMED(sal_map_exp)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_map_erf)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_map_tanh)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_map_sigmoid)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_map_gelu)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_map_gelu_slope)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_map_swish)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_map_hard_swish)(sal_real *y, const sal_real *x, int64_t n);
void SAL_NAMED(sal_sigmoid_and_slope)(sal_real *y, sal_real *slope, const sal_real *x, int64_t n);
void SAL_NAMED(sal_swish_and_slope)(sal_real *y, sal_real *slope, const sal_real *x, int64_t n);
void SAL_NAMED(sal_hard_swish_and_slope)(sal_real *y, sal_real *slope, const sal_real *x,
                                    int64_t n);
void SAL_NAMED(sal_row_softmax)(sal_real *y, const sal_real *x, int64_t n, sal_real scale);
void SAL_NAMED(sal_row_softmax_gradient)(sal_real *dx, const sal_real *y, const sal_real *dy,
                                     int64_t n);
void SAL_NAMED(sal_row_softmax_pull)(sal_real *d, const sal_real *y, int64_t n);
void SAL_NAMED(sal_row_moments)(const sal_real *x, int64_t n, bool centred, sal_real *mean,
                            sal_real *squares);
void SAL_NAMED(sal_row_normalise)(sal_real *y, const sal_real *x, int64_t n,
                              const struct sal_row_norm *norm);
void SAL_NAMED(sal_row_normalise_gradient)(sal_real *dx, const sal_real *x, const sal_real *dy,
                                       int64_t n, const struct sal_row_norm *norm);
void SAL_NAMED(sal_depthwise)(const struct sal_depthwise *d, const sal_real *x,
                              sal_real *y, int64_t from, int64_t to);
void SAL_NAMED(sal_depthwise_back)(const struct sal_depthwise *d, const sal_real *dy,
                                   int64_t first, bool adds, sal_real *dx, int64_t from,
                                   int64_t to);
void SAL_NAMED(sal_max_pool)(const struct sal_planes *g, const sal_real *x, sal_real *y,
                             uint8_t *taps, int64_t from, int64_t to);
void SAL_NAMED(sal_max_pool_back)(const struct sal_planes *g, const uint8_t *taps,
                                  const sal_real *dy, sal_real *dx, int64_t from,
                                  int64_t to);
void SAL_NAMED(sal_average_pool)(const struct sal_planes *g, bool include_pad,
                                 const sal_real *x, sal_real *y, int64_t from,
                                 int64_t to);
void SAL_NAMED(sal_average_pool_back)(const struct sal_planes *g, bool include_pad,
                                      const sal_real *dy, sal_real *dx, int64_t from,
                                      int64_t to);
void SAL_NAMED(sal_sum_pixels)(const sal_real *x, const sal_real *times, int64_t n,
                               sal_real *y);
void SAL_NAMED(sal_add_pixel)(sal_real *x, int64_t n, const sal_real *y);
void SAL_NAMED(sal_add_scaled)(sal_real *x, const sal_real *times, int64_t n,
                               const sal_real *y);
void SAL_NAMED(sal_turn)(const sal_loose *from, ptrdiff_t step, const sal_real *scale,
                         sal_real *to, const ptrdiff_t *at);
void SAL_NAMED(sal_winograd_weights)(const sal_real *taps, const sal_real *scale,
                                     const double *rows, int side, sal_real *to,
                                     ptrdiff_t position);
void SAL_NAMED(sal_winograd_in)(const struct sal_winograd_in *patches);
void SAL_NAMED(sal_winograd_out)(const struct sal_winograd_out *tiles);
void SAL_NAMED(sal_join)(const struct sal_segment *segments, int n_segments, int64_t n,
                         sal_real *y);
void SAL_NAMED(sal_join_back)(const struct sal_segment *segments, int n_segments,
                              int64_t n, sal_real *dx);
#endif

/* The tables themselves. */
extern const struct sal_lanes sal_lanes_base;
#if defined(__x86_64__) && !defined(SAL_DOUBLE)
extern const struct sal_lanes sal_lanes_avx2;
extern const struct sal_lanes sal_lanes_avx512;
#endif

#endif
