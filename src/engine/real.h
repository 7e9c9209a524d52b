/*
 * Arithmetic in sal_real: libm in the precision that the build computes in.
 *
 * No kernel calls libm by its plain names or writes a literal with a fraction
 * that is not wrapped, so that float kernels never pass through double and the
 * double twin loses nothing.
 */
#ifndef SALISCOPE_ENGINE_REAL_H
#define SALISCOPE_ENGINE_REAL_H

#include <math.h>

#include "saliscope/tensor.h"

#ifdef SAL_DOUBLE
#define SAL_MATH(name) name
#else
#define SAL_MATH(name) name##f
#endif

/* A literal or an integer in sal_real. */
#define SAL_REAL_OF(x) ((sal_real)(x))

/* Not INFINITY, which is a float. */
#define SAL_INFINITY SAL_REAL_OF(HUGE_VAL)

#define sal_abs SAL_MATH(fabs)
#define sal_ceil SAL_MATH(ceil)
#define sal_cos SAL_MATH(cos)
#define sal_erf SAL_MATH(erf)
#define sal_exp SAL_MATH(exp)
#define sal_expm1 SAL_MATH(expm1)
#define sal_floor SAL_MATH(floor)
#define sal_fmod SAL_MATH(fmod)
#define sal_log SAL_MATH(log)
#define sal_log1p SAL_MATH(log1p)
#define sal_pow SAL_MATH(pow)
#define sal_rint SAL_MATH(rint)
#define sal_sin SAL_MATH(sin)
#define sal_sqrt SAL_MATH(sqrt)
#define sal_tanh SAL_MATH(tanh)

#endif
