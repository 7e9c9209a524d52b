/*
 * Vectors as wide as the instruction set that a lanes_*.c is compiled for.
 *
 * Arithmetic is GCC's vector extension; only what it has no word for is said in
 * intrinsics here. Included by lanes_*.c alone.
 */
#ifndef SALISCOPE_ENGINE_LANES_VECTOR_H
#define SALISCOPE_ENGINE_LANES_VECTOR_H

#include <string.h>

#include "lanes_kernels.h"
#include "real.h"

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/* Elements of a vector; pixels and blocks of a tile: as many sums as registers hold
 * beside its weights and one value. */
#ifdef SAL_DOUBLE
enum { SAL_LANES = 4, SAL_PIXELS = 3, SAL_WIDTH = 1 };
typedef int64_t sal_whole;
#elif defined(__AVX512F__)
enum { SAL_LANES = 16, SAL_PIXELS = 14, SAL_WIDTH = 2 }; /* 28 of 32 registers */
typedef int32_t sal_whole;
#elif defined(__AVX2__)
enum { SAL_LANES = 8, SAL_PIXELS = 6, SAL_WIDTH = 1 }; /* 12 of 16 */
typedef int32_t sal_whole;
#elif defined(__ARM_NEON)
enum { SAL_LANES = 4, SAL_PIXELS = 6, SAL_WIDTH = 1 }; /* 24 of 32 */
typedef int32_t sal_whole;
#else
enum { SAL_LANES = 4, SAL_PIXELS = 3, SAL_WIDTH = 1 }; /* 12 of 16 */
typedef int32_t sal_whole;
#endif

/* Vectors that make up a block. */
enum { SAL_PARTS = SAL_BLOCK / SAL_LANES };

typedef sal_real sal_vec __attribute__((vector_size(SAL_LANES * sizeof(sal_real))));
typedef sal_whole sal_ivec __attribute__((vector_size(SAL_LANES * sizeof(sal_whole))));

#define SAL_INLINE static inline __attribute__((always_inline))

SAL_INLINE sal_vec sal_vec_load(const sal_real *from)
{
    sal_vec v;
    memcpy(&v, from, sizeof(v));
    return v;
}

SAL_INLINE void sal_vec_store(sal_real *to, sal_vec v)
{
    memcpy(to, &v, sizeof(v));
}

SAL_INLINE sal_vec sal_vec_of(sal_real x)
{
    return x - (sal_vec){0};
}

/* v in a register from here on: loaded once however often it is used. */
SAL_INLINE sal_vec sal_vec_held(sal_vec v)
{
#if defined(__x86_64__) && !defined(SAL_DOUBLE)
    __asm__("" : "+v"(v));
#endif
    return v;
}

/* The greater and the lesser; NaN in v stays NaN. */
SAL_INLINE sal_vec sal_vec_max(sal_vec v, sal_vec least)
{
#if defined(SAL_DOUBLE)
    for (int i = 0; i < SAL_LANES; i++)
        v[i] = v[i] < least[i] ? least[i] : v[i];
    return v;
#elif defined(__AVX512F__)
    return (sal_vec)_mm512_max_ps((__m512)least, (__m512)v);
#elif defined(__AVX2__)
    return (sal_vec)_mm256_max_ps((__m256)least, (__m256)v);
#elif defined(__SSE2__)
    return (sal_vec)_mm_max_ps((__m128)least, (__m128)v);
#else
    sal_ivec less = v < least;
    return (sal_vec)(((sal_ivec)least & less) | ((sal_ivec)v & ~less));
#endif
}

SAL_INLINE sal_vec sal_vec_min(sal_vec v, sal_vec most)
{
#if defined(SAL_DOUBLE)
    for (int i = 0; i < SAL_LANES; i++)
        v[i] = v[i] > most[i] ? most[i] : v[i];
    return v;
#elif defined(__AVX512F__)
    return (sal_vec)_mm512_min_ps((__m512)most, (__m512)v);
#elif defined(__AVX2__)
    return (sal_vec)_mm256_min_ps((__m256)most, (__m256)v);
#elif defined(__SSE2__)
    return (sal_vec)_mm_min_ps((__m128)most, (__m128)v);
#else
    sal_ivec more = v > most;
    return (sal_vec)(((sal_ivec)most & more) | ((sal_ivec)v & ~more));
#endif
}

/* Lanes for which something holds: & and | join them. */
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
typedef __mmask16 sal_lane_mask;
#else
typedef sal_ivec sal_lane_mask;
#endif

SAL_INLINE sal_lane_mask sal_vec_equal(sal_vec a, sal_vec b)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
#else
    return a == b;
#endif
}

SAL_INLINE sal_lane_mask sal_vec_less(sal_vec a, sal_vec b)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
#else
    return a < b;
#endif
}

SAL_INLINE sal_lane_mask sal_vec_no_more(sal_vec a, sal_vec b)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ);
#else
    return a <= b;
#endif
}

/* Lanes of a that are not in b. */
SAL_INLINE sal_lane_mask sal_lanes_but(sal_lane_mask a, sal_lane_mask b)
{
    return (sal_lane_mask)(a & ~b);
}

SAL_INLINE bool sal_lanes_all_in(sal_lane_mask m)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return m == 0xffff;
#elif defined(__AVX2__) && !defined(SAL_DOUBLE)
    return _mm256_movemask_ps((__m256)m) == 0xff;
#elif defined(__SSE2__) && !defined(SAL_DOUBLE)
    return _mm_movemask_ps((__m128)m) == 0xf;
#else
    sal_whole all = -1;
    for (int i = 0; i < SAL_LANES; i++)
        all &= m[i];
    return all != 0;
#endif
}

/* v in those lanes, elsewhere other; or 0. */
SAL_INLINE sal_vec sal_vec_pick(sal_lane_mask m, sal_vec v, sal_vec other)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return (sal_vec)_mm512_mask_mov_ps((__m512)other, m, (__m512)v);
#else
    return (sal_vec)(((sal_ivec)v & m) | ((sal_ivec)other & ~m));
#endif
}

SAL_INLINE sal_vec sal_vec_where(sal_lane_mask m, sal_vec v)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return (sal_vec)_mm512_maskz_mov_ps(m, (__m512)v);
#else
    return (sal_vec)((sal_ivec)v & m);
#endif
}

/* v where the mask lies strictly between low and high, elsewhere 0. */
SAL_INLINE sal_vec sal_vec_between(sal_vec v, sal_vec mask, sal_vec low, sal_vec high)
{
    return sal_vec_where(sal_vec_less(low, mask) & sal_vec_less(mask, high), v);
}

#endif
