/*
 * Exponentials and their kin on whole vectors. Included by lanes_*.c alone.
 *
 * In float: polynomials of least relative error, fitted in 40 digits, with the same
 * steps in every lane whatever it holds. Relative errors are below 2e-7 (exp: 1.2e-7)
 * where results are normal numbers; smaller ones are 0, so that nothing later is
 * slowed down by them. NaN stays NaN. In double: libm.
 */
#ifndef SALISCOPE_ENGINE_LANES_FUNCTIONS_H
#define SALISCOPE_ENGINE_LANES_FUNCTIONS_H

#include "lanes_vector.h"

#ifdef SAL_DOUBLE

#define SAL_VEC_LIBM(name, value)                                                      \
    SAL_INLINE sal_vec name(sal_vec v)                                                 \
    {                                                                                  \
        for (int i = 0; i < SAL_LANES; i++) {                                          \
            const sal_real x = v[i];                                                   \
            v[i] = value;                                                              \
        }                                                                              \
        return v;                                                                      \
    }

#define SAL_NORMAL_BELOW(x) (sal_erfc(-(x) * SAL_REAL_OF(0.70710678118654752440)) / 2)
#define SAL_NORMAL_DENSITY(x)                                                          \
    (sal_exp(-(x) * (x) / 2) * SAL_REAL_OF(0.39894228040143267794))

SAL_VEC_LIBM(sal_vec_exp, sal_exp(x))
SAL_VEC_LIBM(sal_vec_erf, sal_erf(x))
SAL_VEC_LIBM(sal_vec_tanh, sal_tanh(x))
SAL_VEC_LIBM(sal_vec_sigmoid, 1 / (1 + sal_exp(-x)))
SAL_VEC_LIBM(sal_vec_gelu, x * SAL_NORMAL_BELOW(x))
SAL_VEC_LIBM(sal_vec_gelu_slope, SAL_NORMAL_BELOW(x) + x * SAL_NORMAL_DENSITY(x))

#else

SAL_INLINE sal_vec sal_vec_blend(sal_ivec mask, sal_vec yes, sal_vec no)
{
    return (sal_vec)(((sal_ivec)yes & mask) | ((sal_ivec)no & ~mask));
}

SAL_INLINE sal_vec sal_vec_abs(sal_vec v)
{
    return (sal_vec)((sal_ivec)v & 0x7fffffff);
}

/* The sign of `sign`, which is taken off nothing: v must be positive. */
SAL_INLINE sal_vec sal_vec_signed(sal_vec v, sal_vec sign)
{
    return (sal_vec)((sal_ivec)v | ((sal_ivec)sign & (sal_whole)0x80000000));
}

/* 2^n for n of -126..127. */
SAL_INLINE sal_vec sal_vec_power(sal_ivec n)
{
    return (sal_vec)((n + 127) << 23);
}

/* exp(x + rest), |rest| small: x is n ln 2 + r, and exp(r) a polynomial. */
SAL_INLINE sal_vec sal_vec_exp_sum(sal_vec x, sal_vec rest)
{
    const sal_vec shift = sal_vec_of(12582912.0f); /* 1.5 * 2^23: n in the last bits */
    const sal_vec kept = sal_vec_min(sal_vec_max(x, sal_vec_of(-88)), sal_vec_of(89));
    const sal_vec shifted = kept * 1.44269504f + shift, n = shifted - shift;
    const sal_ivec whole = (sal_ivec)shifted - 0x4b400000;
    sal_vec r = kept - n * 0.693359375f;
    r = r + n * 2.12194440e-4f + rest;
    sal_vec p = r * 1.3814463902224306e-3f + 8.368780381953127e-3f;
    p = p * r + 4.1668394262514483e-2f;
    p = p * r + 0.16666520108249142f;
    p = p * r + 0.49999993412346603f;
    p = p * (r * r) + r + 1;
    const sal_ivec half = whole >> 1;
    const sal_ivec gone = kept < -87.3365447f; /* below the least normal number */
    return p * sal_vec_power(half) *
           (sal_vec)((sal_ivec)sal_vec_power(whole - half) & ~gone);
}

SAL_INLINE sal_vec sal_vec_exp(sal_vec x)
{
    return sal_vec_exp_sum(x, (sal_vec){0});
}

SAL_INLINE sal_vec sal_vec_sigmoid(sal_vec x)
{
    return 1 / (1 + sal_vec_exp(-x));
}

/* x + x^3 p(x^2), and 1 - 2 / (exp(2 |x|) + 1) where that loses nothing. */
SAL_INLINE sal_vec sal_vec_tanh(sal_vec x)
{
    const sal_vec size = sal_vec_abs(x), near = sal_vec_min(size, sal_vec_of(1));
    const sal_vec u = near * near;
    sal_vec p = u * -5.1025522352225719e-3f + 2.0054876129622365e-2f;
    p = p * u - 5.3546131087826289e-2f;
    p = p * u + 0.13328946437622328f;
    p = p * u - 0.33333183803517163f;
    const sal_vec small = near + near * u * p;
    const sal_vec large = 1 - 2 / (sal_vec_exp(2 * size) + 1);
    return sal_vec_signed(sal_vec_blend(size < 0.625f, small, large), x);
}

/* exp(-x^2 / 2) for x of 0..14. The square of the first half of x's digits is exact. */
SAL_INLINE sal_vec sal_vec_bell(sal_vec x)
{
    const sal_vec head = (sal_vec)((sal_ivec)x & (sal_whole)0xfffff000);
    return sal_vec_exp_sum(-0.5f * (head * head), -0.5f * ((x - head) * (x + head)));
}

/* What of a normal distribution lies above x, for x of 0..14: bell is exp(-x^2 / 2),
 * and the rest a polynomial in t = 1 / (1 + 0.3 x),
 * around the t where most of it lies. */
SAL_INLINE sal_vec sal_vec_normal_above(sal_vec x, sal_vec bell)
{
    const sal_vec t = 1 / (1 + 0.3f * x), s = t - 0.75f;
    sal_vec p = s * -0.020594641335972413f - 0.026740450744195918f;
    p = p * s + 0.028781596254354487f;
    p = p * s + 0.033676488767650774f;
    p = p * s - 0.078075680197968447f;
    p = p * s - 0.079592211082099609f;
    p = p * s + 0.19683673557240527f;
    p = p * s + 0.51022870581788809f;
    p = p * s + 0.54405474505154008f;
    p = p * s + 0.32939910487364989f;
    return bell * (t * p);
}

SAL_INLINE sal_vec sal_vec_erf(sal_vec x)
{
    const sal_vec size = sal_vec_abs(x), near = sal_vec_min(size, sal_vec_of(1));
    const sal_vec u = near * near;
    sal_vec p = u * 7.8538619251257224e-5f - 8.0101937521834848e-4f;
    p = p * u + 5.1883276941441018e-3f;
    p = p * u - 2.6853811936196968e-2f;
    p = p * u + 0.11283585148549699f;
    p = p * u - 0.37612625824224108f;
    p = p * u + 1.1283791657267236f;
    const sal_vec z = sal_vec_min(size * 1.41421356f, sal_vec_of(14));
    const sal_vec large = 1 - 2 * sal_vec_normal_above(z, sal_vec_bell(z));
    return sal_vec_signed(sal_vec_blend(size < 1, near * p, large), x);
}

/* x times what of a normal distribution lies below x: 1/2 and x p(x^2) / q(x^2), by the
 * fraction that Eigen has for erf. It is used more than all others together; its error
 * is a share of x, not of the result, as in 0.5 * x * (1 + erf(..)). */
SAL_INLINE sal_vec sal_vec_gelu(sal_vec x)
{
    const sal_real edge = 5.65685425f;
    const sal_vec near = sal_vec_min(sal_vec_max(x, sal_vec_of(-edge)), sal_vec_of(edge));
    const sal_vec u = near * near;
    sal_vec p = u * 1.0557466595e-10f - 2.1459904746e-8f;
    p = p * u + 3.2546343978e-6f;
    p = p * u + 1.7636187818e-4f;
    p = p * u + 4.5542093071e-3f;
    p = p * u + 3.6615067980e-2f;
    p = p * u + 0.39894225454f;
    sal_vec q = u * 6.3820269486e-5f + 1.8697683017e-3f;
    q = q * u + 2.9492775303e-2f;
    q = q * u + 0.25844598841f;
    q = q * u + 1;
    const sal_vec below = 0.5f + near * p / q;
    return x * (sal_vec)((sal_ivec)below & (x > -edge));
}

SAL_INLINE sal_vec sal_vec_gelu_slope(sal_vec x)
{
    const sal_vec z = sal_vec_min(sal_vec_abs(x), sal_vec_of(14));
    const sal_vec bell = sal_vec_bell(z), above = sal_vec_normal_above(z, bell);
    return sal_vec_blend(x < 0, above, 1 - above) + x * (bell * 0.39894228040143268f);
}

#endif

#endif
