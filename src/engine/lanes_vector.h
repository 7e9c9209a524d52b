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

/* Lanes of two vectors, by constant places. */
#ifndef __has_builtin
#define __has_builtin(name) 0
#endif
#if __has_builtin(__builtin_shufflevector)
#define SAL_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SAL_PICK(a, b, ...) __builtin_shuffle(a, b, (sal_ivec){__VA_ARGS__})
#endif

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

/* Where v is greater than most, or NaN; nothing but NaN is once most is. */
SAL_INLINE sal_lane_mask sal_vec_more_or_nan(sal_vec v, sal_vec most)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return sal_vec_less(most, v) | _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
#else
    return (most < v) | (v != v);
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

/* The lanes as bits, lane 0 the lowest, and back from bits of which others may be set. */
SAL_INLINE unsigned sal_lanes_word(sal_lane_mask m)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return m;
#elif defined(__AVX2__) && !defined(SAL_DOUBLE)
    return (unsigned)_mm256_movemask_ps((__m256)m);
#elif defined(__SSE2__) && !defined(SAL_DOUBLE)
    return (unsigned)_mm_movemask_ps((__m128)m);
#else
    unsigned word = 0;
    for (int i = 0; i < SAL_LANES; i++)
        word |= (unsigned)(m[i] & 1) << i;
    return word;
#endif
}

SAL_INLINE sal_lane_mask sal_lanes_of_word(unsigned word)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return (sal_lane_mask)word;
#else
    static const sal_whole bit[] = {1, 2, 4, 8, 16, 32, 64, 128};
    sal_ivec each;
    memcpy(&each, bit, sizeof(each));
    return (each & ((sal_ivec){0} + (sal_whole)word)) != 0;
#endif
}

/* Whole numbers: one in all lanes, lanes that are it, and 0..255 from and to bytes. */
typedef uint8_t sal_bytes __attribute__((vector_size(SAL_LANES)));

SAL_INLINE sal_ivec sal_whole_of(int64_t n)
{
    return (sal_ivec){0} + (sal_whole)n;
}

SAL_INLINE sal_lane_mask sal_whole_is(sal_ivec v, int64_t n)
{
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return _mm512_cmpeq_epi32_mask((__m512i)v, (__m512i)sal_whole_of(n));
#else
    return v == sal_whole_of(n);
#endif
}

SAL_INLINE sal_ivec sal_whole_load_bytes(const uint8_t *from)
{
    sal_bytes v;
    memcpy(&v, from, sizeof(v));
    return __builtin_convertvector(v, sal_ivec);
}

SAL_INLINE void sal_whole_store_bytes(uint8_t *to, sal_ivec v)
{
    const sal_bytes bytes = __builtin_convertvector(v, sal_bytes);
    memcpy(to, &bytes, sizeof(bytes));
}

/* What passes of elements from `at` on. */
SAL_INLINE sal_vec sal_vec_passing(const struct sal_source *from, int64_t at)
{
    sal_vec x = sal_vec_load(from->x + at);
    if (from->bits)
        x = sal_vec_where(
            sal_lanes_of_word((unsigned)from->bits[at / SAL_BLOCK] >> at % SAL_BLOCK), x);
    if (from->slope)
        x *= sal_vec_load(from->slope + at);
    return x;
}

#endif
