/* ONNX types: the kind they are computed in, and what of a value each can hold. */
#include "kernel.h"
#include "real.h"

struct type {
    bool known;
    enum sal_kind kind;
    int bits; /* of an integer that is narrower than int64 */
    bool is_signed;
    /* Of a float that is narrower than sal_real: binary digits of the mantissa, the
     * exponents of the least normal number and of the first that is too large. */
    int digits, normal, too_large;
};

#define INTEGER(bits, is_signed) {true, SAL_INT, bits, is_signed, 0, 0, 0}
#define NARROW(digits, normal, too_large) {true, SAL_REAL, 0, true, digits, normal, too_large}
#define WIDE NARROW(0, 0, 0)

static const struct type types[] = {
    [SAL_ONNX_FLOAT] = WIDE,
    [SAL_ONNX_DOUBLE] = WIDE,
    [SAL_ONNX_FLOAT16] = NARROW(11, -14, 16),
    [SAL_ONNX_BFLOAT16] = NARROW(8, -126, 128),
    [SAL_ONNX_UINT2] = INTEGER(2, false),
    [SAL_ONNX_INT2] = INTEGER(2, true),
    [SAL_ONNX_UINT4] = INTEGER(4, false),
    [SAL_ONNX_INT4] = INTEGER(4, true),
    [SAL_ONNX_UINT8] = INTEGER(8, false),
    [SAL_ONNX_INT8] = INTEGER(8, true),
    [SAL_ONNX_UINT16] = INTEGER(16, false),
    [SAL_ONNX_INT16] = INTEGER(16, true),
    [SAL_ONNX_INT32] = INTEGER(32, true),
    [SAL_ONNX_UINT32] = INTEGER(32, false),
    [SAL_ONNX_INT64] = INTEGER(0, true),
    [SAL_ONNX_UINT64] = INTEGER(0, false),
    [SAL_ONNX_BOOL] = INTEGER(1, false),
};

static const struct type *find(int type)
{
    static const struct type unknown = {0};
    bool known = type >= 0 && type < (int)(sizeof(types) / sizeof(types[0]));
    return known ? &types[type] : &unknown;
}

bool sal_type_kind(int type, enum sal_kind *kind)
{
    const struct type *found = find(type);
    if (found->known)
        *kind = found->kind;
    return found->known;
}

int64_t sal_int_wrap(int type, int64_t value)
{
    const struct type *found = find(type);
    if (type == SAL_ONNX_BOOL)
        return value != 0;
    if (!found->bits)
        return value;
    int64_t span = INT64_C(1) << found->bits, low = value & (span - 1);
    return found->is_signed && low >= span / 2 ? low - span : low;
}

int64_t sal_int_lowest(int type)
{
    const struct type *found = find(type);
    if (!found->is_signed)
        return 0;
    return found->bits ? -(INT64_C(1) << (found->bits - 1)) : INT64_MIN;
}

int64_t sal_int_highest(int type)
{
    const struct type *found = find(type);
    return found->bits ? (INT64_C(1) << (found->bits - found->is_signed)) - 1 : INT64_MAX;
}

int64_t sal_truncate(sal_real x)
{
    static const sal_real limit = (sal_real)9223372036854775808.0;
    if (x != x)
        return 0;
    return x >= limit ? INT64_MAX : x < -limit ? INT64_MIN : (int64_t)x;
}

int64_t sal_tensor_int(const struct sal_tensor *tensor, int64_t i)
{
    const int64_t most = INT64_C(1) << 62;
    if (tensor->kind == SAL_INT)
        return tensor->i64[i];
    int64_t value = sal_truncate(tensor->real[i]);
    return value > most ? most : value < -most ? -most : value;
}

sal_real sal_real_as(int type, sal_real x)
{
    const struct type *found = find(type);
    int exponent;
    if (!found->digits || !isfinite(x) || x == 0)
        return x;
    sal_frexp(x, &exponent); /* |x| is 0.5 to 1 times 2^exponent */
    if (exponent <= found->normal)
        exponent = found->normal + 1;
    int last = exponent - found->digits; /* exponent of the last digit kept */
    sal_real rounded = sal_ldexp(sal_rint(sal_ldexp(x, -last)), last);
    return sal_abs(rounded) < sal_ldexp(1, found->too_large)
               ? rounded : sal_copysign(SAL_INFINITY, x);
}
