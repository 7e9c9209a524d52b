/*
 * Arithmetic in sal_real: libm in the precision that the build computes in.
 *
 * No kernel calls libm by its plain names or writes a literal with a fraction
 * that is not wrapped, so that float kernels never pass through double and the
 * double twin loses nothing.
 */
#ifndef SALISCOPE_ENGINE_REAL_H
#define SALISCOPE_ENGINE_REAL_H

#include <float.h>
#include <math.h>

#include "saliscope/tensor.h"

#ifdef SAL_DOUBLE
#define SAL_MATH(name) name
#define SAL_EPSILON DBL_EPSILON
#else
#define SAL_MATH(name) name##f
#define SAL_EPSILON FLT_EPSILON
#endif

/* A literal or an integer in sal_real. */
#define SAL_REAL_OF(x) ((sal_real)(x))

/* Not INFINITY, which is a float. */
#define SAL_INFINITY SAL_REAL_OF(HUGE_VAL)

#define sal_abs SAL_MATH(fabs)
#define sal_acos SAL_MATH(acos)
#define sal_acosh SAL_MATH(acosh)
#define sal_asin SAL_MATH(asin)
#define sal_asinh SAL_MATH(asinh)
#define sal_atan SAL_MATH(atan)
#define sal_atanh SAL_MATH(atanh)
#define sal_ceil SAL_MATH(ceil)
#define sal_copysign SAL_MATH(copysign)
#define sal_cos SAL_MATH(cos)
#define sal_cosh SAL_MATH(cosh)
#define sal_erf SAL_MATH(erf)
#define sal_erfc SAL_MATH(erfc)
#define sal_exp SAL_MATH(exp)
#define sal_expm1 SAL_MATH(expm1)
#define sal_floor SAL_MATH(floor)
#define sal_fmod SAL_MATH(fmod)
#define sal_hypot SAL_MATH(hypot)
#define sal_frexp SAL_MATH(frexp)
#define sal_ldexp SAL_MATH(ldexp)
#define sal_log SAL_MATH(log)
#define sal_log1p SAL_MATH(log1p)
#define sal_pow SAL_MATH(pow)
#define sal_rint SAL_MATH(rint)
#define sal_sin SAL_MATH(sin)
#define sal_sinh SAL_MATH(sinh)
#define sal_sqrt SAL_MATH(sqrt)
#define sal_tan SAL_MATH(tan)
#define sal_tanh SAL_MATH(tanh)

/* rint for what saturates past 2^20 either way, without a call: beside 1.5 / epsilon
 * there are no digits left for a fraction. */
static inline sal_real sal_round_near(sal_real x)
{
    const sal_real most = SAL_REAL_OF(1 << 20), shift = SAL_REAL_OF(3) / (2 * SAL_EPSILON);
    x = x > most ? most : x < -most ? -most : x;
    return x + shift - shift;
}

#endif
