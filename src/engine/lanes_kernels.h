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
void SAL_NAMED(sal_winograd_in)(const struct sal_winograd_in *patches);
void SAL_NAMED(sal_winograd_out)(const struct sal_winograd_out *tiles);
#endif

/* The tables themselves. */
extern const struct sal_lanes sal_lanes_base;
#if defined(__x86_64__) && !defined(SAL_DOUBLE)
extern const struct sal_lanes sal_lanes_avx2;
extern const struct sal_lanes sal_lanes_avx512;
#endif

#endif
