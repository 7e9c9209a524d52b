#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"

/* TensorProto's payload fields. */
enum { FLOATS = 4, INT32S = 5, STRINGS = 6, INT64S = 7, RAW = 9, DOUBLES = 10, UINT64S = 11 };

struct fixture {
    struct sal_buffer bytes;
    struct sal_arena arena;
    struct sal_onnx_tensor tensor;
    struct sal_error err;
};

static void begin(struct fixture *f, int type, int64_t count)
{
    *f = (struct fixture){0};
    onnx_put_tensor(&f->bytes, "w", type, 1, &count);
}

static enum sal_status parse(struct fixture *f)
{
    f->arena.limit = 1 << 20;
    return sal_onnx_parse_tensor(&f->tensor, (struct sal_span){f->bytes.data, f->bytes.size},
                                 &f->arena, &f->err);
}

static void end(struct fixture *f)
{
    sal_arena_release(&f->arena);
    sal_buffer_release(&f->bytes);
}

static void assert_parses(struct fixture *f)
{
    if (parse(f) != SAL_OK)
        fail_msg("%s", f->err.text);
}

static void assert_refused(struct fixture *f, enum sal_status status, const char *text)
{
    assert_int_equal(parse(f), status);
    if (!strstr(f->err.text, text))
        fail_msg("'%s' is not in '%s'", text, f->err.text);
    end(f);
}

static void assert_reals(struct fixture *f, int n, const double *expected)
{
    double *doubles = malloc((size_t)n * sizeof *doubles);
    float *floats = malloc((size_t)n * sizeof *floats);
    assert_parses(f);
    assert_int_equal(f->tensor.count, n);
    assert_int_equal(sal_onnx_tensor_read_double(&f->tensor, doubles, NULL), SAL_OK);
    assert_int_equal(sal_onnx_tensor_read_float(&f->tensor, floats, NULL), SAL_OK);
    for (int i = 0; i < n; i++) {
        assert_true(doubles[i] == expected[i] || (isnan(expected[i]) && isnan(doubles[i])));
        assert_true(floats[i] == (float)expected[i] || (isnan(expected[i]) && isnan(floats[i])));
    }
    assert_int_equal(sal_onnx_tensor_read_int(&f->tensor, (int64_t *)(void *)doubles, &f->err),
                     SAL_UNSUPPORTED);
    free(doubles);
    free(floats);
    end(f);
}

static void assert_integers(struct fixture *f, int n, const int64_t *expected)
{
    int64_t *values = malloc((size_t)n * sizeof *values);
    float unread;
    assert_parses(f);
    assert_int_equal(sal_onnx_tensor_read_int(&f->tensor, values, NULL), SAL_OK);
    for (int i = 0; i < n; i++)
        assert_true(values[i] == expected[i]);
    assert_int_equal(sal_onnx_tensor_read_float(&f->tensor, &unread, &f->err), SAL_UNSUPPORTED);
    assert_non_null(strstr(f->err.text, sal_onnx_type_name(f->tensor.type)));
    free(values);
    end(f);
}

static const uint16_t half_bits[] = {
    0x0000, 0x8000, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x0400, 0x0001, 0x03ff, 0x7c00, 0xfc00, 0x7e00,
};
static const double half_values[] = {
    0, -0.0, 1, -2, 0x1.554p-2, 65504, 0x1p-14, 0x1p-24, 0x1.ff8p-15,
    (double)INFINITY, -(double)INFINITY, (double)NAN,
};
enum { N_HALVES = sizeof half_bits / sizeof *half_bits };

static void float16_is_exact_in_raw_data_and_in_int32_data(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SAL_ONNX_FLOAT16, N_HALVES);
    onnx_put_bytes(&f.bytes, RAW, half_bits, sizeof half_bits);
    assert_reals(&f, N_HALVES, half_values);
    begin(&f, SAL_ONNX_FLOAT16, N_HALVES);
    for (int i = 0; i < N_HALVES; i++)
        onnx_put_int(&f.bytes, INT32S, half_bits[i]);
    assert_reals(&f, N_HALVES, half_values);
}

static void every_float16_equals_its_definition(void **state)
{
    (void)state;
    enum { N = 65536 };
    uint16_t *bits = malloc(N * sizeof *bits);
    double *values = malloc(N * sizeof *values);
    for (int i = 0; i < N; i++)
        bits[i] = (uint16_t)i;
    struct fixture f;
    begin(&f, SAL_ONNX_FLOAT16, N);
    onnx_put_bytes(&f.bytes, RAW, bits, N * sizeof *bits);
    assert_parses(&f);
    assert_int_equal(sal_onnx_tensor_read_double(&f.tensor, values, NULL), SAL_OK);
    for (int i = 0; i < N; i++) {
        int exponent = i >> 10 & 31, mantissa = i & 1023;
        double size = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
        if (exponent == 31)
            size = mantissa ? (double)NAN : (double)INFINITY;
        if (isnan(size))
            assert_true(isnan(values[i]));
        else
            assert_true(values[i] == (i >> 15 ? -size : size));
        assert_true(!signbit(values[i]) == !(i >> 15) || isnan(size));
    }
    free(bits);
    free(values);
    end(&f);
}

static void bfloat16_is_the_upper_half_of_a_float(void **state)
{
    (void)state;
    static const uint16_t bits[] = {0x3f80, 0xc000, 0x7f80, 0x0001, 0x4049};
    static const double values[] = {1, -2, (double)INFINITY, 0x1p-133, 3.140625};
    struct fixture f;
    begin(&f, SAL_ONNX_BFLOAT16, 5);
    onnx_put_bytes(&f.bytes, RAW, bits, sizeof bits);
    assert_reals(&f, 5, values);
    begin(&f, SAL_ONNX_BFLOAT16, 5);
    for (int i = 0; i < 5; i++)
        onnx_put_int(&f.bytes, INT32S, bits[i]);
    assert_reals(&f, 5, values);
}

static void floats_are_read_packed_unpacked_split_and_raw(void **state)
{
    (void)state;
    static const float values[] = {1, -2.5f, 1e-40f};
    static const double expected[] = {1, -2.5, (double)1e-40f};
    struct fixture f;
    begin(&f, SAL_ONNX_FLOAT, 3);
    onnx_put_bytes(&f.bytes, FLOATS, values, sizeof values);
    assert_reals(&f, 3, expected);
    begin(&f, SAL_ONNX_FLOAT, 3);
    onnx_put_bytes(&f.bytes, RAW, values, sizeof values);
    assert_reals(&f, 3, expected);
    begin(&f, SAL_ONNX_FLOAT, 3);
    for (int i = 0; i < 3; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        onnx_put_fixed32(&f.bytes, FLOATS, bits);
    }
    assert_reals(&f, 3, expected);
    begin(&f, SAL_ONNX_FLOAT, 3);
    onnx_put_bytes(&f.bytes, FLOATS, values, 4);
    onnx_put_bytes(&f.bytes, FLOATS, "", 0);
    onnx_put_bytes(&f.bytes, FLOATS, values + 1, 8);
    assert_reals(&f, 3, expected);
}

static void raw_data_may_lie_at_any_address(void **state)
{
    (void)state;
    static const double values[] = {1.5, -1e300};
    for (int shift = 0; shift < 8; shift++) {
        struct fixture f;
        begin(&f, SAL_ONNX_DOUBLE, 2);
        uint8_t padding[8] = {0};
        onnx_put_bytes(&f.bytes, 12, padding, (size_t)shift); /* doc_string */
        onnx_put_bytes(&f.bytes, RAW, values, sizeof values);
        assert_parses(&f);
        double out[2];
        assert_int_equal(sal_onnx_tensor_read_double(&f.tensor, out, NULL), SAL_OK);
        assert_memory_equal(out, values, sizeof values);
        end(&f);
    }
}

static void doubles_are_read_from_double_data(void **state)
{
    (void)state;
    static const double values[] = {0.1, -2};
    struct fixture f;
    begin(&f, SAL_ONNX_DOUBLE, 2);
    onnx_put_bytes(&f.bytes, DOUBLES, values, sizeof values);
    assert_reals(&f, 2, values);
}

static void integers_of_every_type_are_read(void **state)
{
    (void)state;
    static const struct {
        int type, field;
        int64_t low, high;
    } types[] = {
        {SAL_ONNX_INT8, INT32S, INT8_MIN, INT8_MAX},
        {SAL_ONNX_UINT8, INT32S, 0, UINT8_MAX},
        {SAL_ONNX_INT16, INT32S, INT16_MIN, INT16_MAX},
        {SAL_ONNX_UINT16, INT32S, 0, UINT16_MAX},
        {SAL_ONNX_INT32, INT32S, INT32_MIN, INT32_MAX},
        {SAL_ONNX_UINT32, UINT64S, 0, UINT32_MAX},
        {SAL_ONNX_INT64, INT64S, INT64_MIN, INT64_MAX},
        {SAL_ONNX_UINT64, UINT64S, 0, INT64_MAX},
        {SAL_ONNX_BOOL, INT32S, 0, 1},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        int64_t values[] = {types[i].low, types[i].high, 1};
        struct fixture f;
        begin(&f, types[i].type, 3);
        size_t size = sal_onnx_type_bits(types[i].type) / 8;
        uint8_t raw[24];
        for (size_t k = 0; k < 3; k++) {
            onnx_put_int(&f.bytes, (unsigned)types[i].field, values[k]);
            memcpy(raw + k * size, &values[k], size);
        }
        assert_integers(&f, 3, values);
        begin(&f, types[i].type, 3);
        onnx_put_bytes(&f.bytes, RAW, raw, 3 * size);
        assert_integers(&f, 3, values);
    }
}

/* The bytes hold the elements, the first in the lowest bits; a spare part is ignored. */
static void check_packed(int type, int n, const int64_t *values, size_t size,
                         const uint8_t *packed)
{
    struct fixture f;
    begin(&f, type, n);
    onnx_put_bytes(&f.bytes, RAW, packed, size);
    assert_integers(&f, n, values);
    begin(&f, type, n);
    for (size_t i = 0; i < size; i++)
        onnx_put_int(&f.bytes, INT32S, packed[i]);
    assert_integers(&f, n, values);
}

static void small_integers_are_unpacked(void **state)
{
    (void)state;
    check_packed(SAL_ONNX_INT4, 3, (int64_t[]){1, -2, 3}, 2, (uint8_t[]){0xe1, 0x03});
    check_packed(SAL_ONNX_INT4, 2, (int64_t[]){-8, 7}, 1, (uint8_t[]){0x78});
    check_packed(SAL_ONNX_UINT4, 3, (int64_t[]){15, 0, 9}, 2, (uint8_t[]){0x0f, 0xf9});
    check_packed(SAL_ONNX_INT2, 5, (int64_t[]){1, -2, -1, 0, 1}, 2, (uint8_t[]){0x39, 0x01});
    check_packed(SAL_ONNX_UINT2, 4, (int64_t[]){0, 1, 2, 3}, 1, (uint8_t[]){0xe4});
    struct fixture f;
    begin(&f, SAL_ONNX_INT4, 3);
    onnx_put_bytes(&f.bytes, RAW, "abc", 3);
    assert_refused(&f, SAL_BAD_INPUT, "3 int4 needs 2 bytes, the file has 3");
    begin(&f, SAL_ONNX_UINT4, 3);
    onnx_put_int(&f.bytes, INT32S, 1);
    assert_refused(&f, SAL_BAD_INPUT, "3 uint4 needs 2 values, int32_data has 1");
    int64_t out[2];
    begin(&f, SAL_ONNX_UINT4, 2);
    onnx_put_int(&f.bytes, INT32S, 256);
    assert_parses(&f);
    assert_int_equal(sal_onnx_tensor_read_int(&f.tensor, out, &f.err), SAL_BAD_INPUT);
    assert_string_equal(f.err.text, "tensor 'w': 256 is no uint4");
    end(&f);
    begin(&f, SAL_ONNX_INT4, 2);
    onnx_put_int(&f.bytes, INT64S, 1);
    assert_refused(&f, SAL_BAD_INPUT, "int4 does not belong in int64_data");
}

static void values_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    int64_t out;
    struct fixture f;
    begin(&f, SAL_ONNX_UINT8, 1);
    onnx_put_int(&f.bytes, INT32S, 256);
    assert_parses(&f);
    assert_int_equal(sal_onnx_tensor_read_int(&f.tensor, &out, &f.err), SAL_BAD_INPUT);
    assert_string_equal(f.err.text, "tensor 'w': 256 is no uint8");
    end(&f);
    begin(&f, SAL_ONNX_UINT64, 1);
    onnx_put_int(&f.bytes, UINT64S, -1);
    assert_parses(&f);
    assert_int_equal(sal_onnx_tensor_read_int(&f.tensor, &out, &f.err), SAL_UNSUPPORTED);
    end(&f);
}

static void a_scalar_has_one_element_and_an_empty_tensor_none(void **state)
{
    (void)state;
    struct fixture f = {0};
    onnx_put_tensor(&f.bytes, "w", SAL_ONNX_INT64, 0, NULL);
    onnx_put_int(&f.bytes, INT64S, 7);
    assert_integers(&f, 1, (int64_t[]){7});
    begin(&f, SAL_ONNX_INT64, 0);
    assert_parses(&f);
    assert_int_equal(f.tensor.count, 0);
    assert_int_equal(sal_onnx_tensor_read_int(&f.tensor, NULL, NULL), SAL_OK);
    end(&f);
    begin(&f, SAL_ONNX_FLOAT, 0);
    onnx_put_bytes(&f.bytes, RAW, "", 0);
    assert_parses(&f);
    assert_int_equal(sal_onnx_tensor_read_float(&f.tensor, NULL, NULL), SAL_OK);
    end(&f);
}

static void sizes_must_match_the_shape(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};
    struct fixture f = {0};
    onnx_put_tensor(&f.bytes, "conv1.weight", SAL_ONNX_FLOAT, 4, (int64_t[]){64, 3, 7, 7});
    onnx_put_bytes(&f.bytes, RAW, bytes, 60);
    assert_refused(&f, SAL_BAD_INPUT,
                   "tensor 'conv1.weight': 64x3x7x7 float32 needs 37632 bytes, the file has 60");
    begin(&f, SAL_ONNX_FLOAT, 3);
    onnx_put_bytes(&f.bytes, RAW, bytes, 13);
    assert_refused(&f, SAL_BAD_INPUT, "needs 12 bytes, the file has 13");
    begin(&f, SAL_ONNX_FLOAT, 3);
    onnx_put_bytes(&f.bytes, FLOATS, bytes, 8);
    assert_refused(&f, SAL_BAD_INPUT, "needs 3 values, float_data has 2");
    begin(&f, SAL_ONNX_FLOAT, 3);
    onnx_put_bytes(&f.bytes, FLOATS, bytes, 14);
    assert_refused(&f, SAL_BAD_INPUT, "cut short");
    begin(&f, SAL_ONNX_FLOAT, 3);
    assert_refused(&f, SAL_BAD_INPUT, "needs 12 bytes, the file has 0");
}

static void shapes_beyond_limits_are_refused(void **state)
{
    (void)state;
    static const int64_t huge[] = {INT64_C(2147483647), INT64_C(2147483647), 4, 4};
    struct fixture f;
    begin(&f, SAL_ONNX_FLOAT, -3);
    assert_refused(&f, SAL_BAD_INPUT, "dimension 0 is -3");
    begin(&f, SAL_ONNX_FLOAT, INT64_C(1) << 31);
    assert_refused(&f, SAL_BAD_INPUT, "dimension 0 is 2147483648");
    f = (struct fixture){0};
    onnx_put_tensor(&f.bytes, "w", SAL_ONNX_INT8, 4, huge);
    assert_refused(&f, SAL_BAD_INPUT, "is more than memory can address");
    f = (struct fixture){0};
    onnx_put_tensor(&f.bytes, "w", SAL_ONNX_FLOAT, 3, huge);
    assert_refused(&f, SAL_BAD_INPUT, "is more than memory can address");
    f = (struct fixture){0};
    onnx_put_tensor(&f.bytes, "w", SAL_ONNX_FLOAT, 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    assert_refused(&f, SAL_BAD_INPUT, "more than 8 dims");
}

static void values_are_given_once_and_where_they_belong(void **state)
{
    (void)state;
    uint8_t bytes[4] = {0};
    struct fixture f;
    begin(&f, SAL_ONNX_FLOAT, 1);
    onnx_put_bytes(&f.bytes, RAW, bytes, 4);
    onnx_put_bytes(&f.bytes, FLOATS, bytes, 4);
    assert_refused(&f, SAL_BAD_INPUT, "given more than once");
    begin(&f, SAL_ONNX_FLOAT16, 1);
    onnx_put_bytes(&f.bytes, FLOATS, bytes, 4);
    assert_refused(&f, SAL_BAD_INPUT, "float16 does not belong in float_data");
    begin(&f, SAL_ONNX_UNDEFINED, 1);
    assert_refused(&f, SAL_BAD_INPUT, "no element type");
    begin(&f, SAL_ONNX_FLOAT, 1);
    onnx_put_int(&f.bytes, 14, 1);
    assert_refused(&f, SAL_BAD_INPUT, "external data without a location");
}

static void types_that_are_not_read_are_named(void **state)
{
    (void)state;
    float out;
    struct fixture f;
    for (int type = SAL_ONNX_FLOAT8E4M3FN; type <= SAL_ONNX_FLOAT8E5M2FNUZ; type++) {
        begin(&f, type, 1);
        onnx_put_bytes(&f.bytes, RAW, "a", 1);
        assert_parses(&f);
        assert_int_equal(sal_onnx_tensor_read_float(&f.tensor, &out, &f.err),
                         SAL_UNSUPPORTED);
        assert_non_null(strstr(f.err.text, "tensor 'w': float8e"));
        assert_non_null(strstr(f.err.text, "cannot be read as real numbers"));
        end(&f);
    }
    begin(&f, SAL_ONNX_FLOAT8E5M2, 2);
    onnx_put_bytes(&f.bytes, RAW, "a", 1);
    assert_refused(&f, SAL_BAD_INPUT, "2 float8e5m2 needs 2 bytes, the file has 1");
    begin(&f, 27, 1);
    onnx_put_bytes(&f.bytes, RAW, "a", 1);
    assert_parses(&f);
    assert_int_equal(sal_onnx_tensor_read_float(&f.tensor, &out, &f.err), SAL_UNSUPPORTED);
    assert_string_equal(f.err.text,
                        "tensor 'w': an unknown type cannot be read as real numbers");
    end(&f);
    begin(&f, SAL_ONNX_STRING, 2);
    onnx_put_text(&f.bytes, STRINGS, "a");
    onnx_put_text(&f.bytes, STRINGS, "b");
    assert_parses(&f);
    assert_int_equal(sal_onnx_tensor_read_float(&f.tensor, &out, &f.err), SAL_UNSUPPORTED);
    end(&f);
    assert_string_equal(sal_onnx_type_name(SAL_ONNX_FLOAT16), "float16");
    assert_string_equal(sal_onnx_type_name(-1), "an unknown type");
    assert_int_equal(sal_onnx_type_bits(1 << 30), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float16_is_exact_in_raw_data_and_in_int32_data),
        cmocka_unit_test(every_float16_equals_its_definition),
        cmocka_unit_test(bfloat16_is_the_upper_half_of_a_float),
        cmocka_unit_test(floats_are_read_packed_unpacked_split_and_raw),
        cmocka_unit_test(raw_data_may_lie_at_any_address),
        cmocka_unit_test(doubles_are_read_from_double_data),
        cmocka_unit_test(integers_of_every_type_are_read),
        cmocka_unit_test(small_integers_are_unpacked),
        cmocka_unit_test(values_that_do_not_fit_are_refused),
        cmocka_unit_test(a_scalar_has_one_element_and_an_empty_tensor_none),
        cmocka_unit_test(sizes_must_match_the_shape),
        cmocka_unit_test(shapes_beyond_limits_are_refused),
        cmocka_unit_test(values_are_given_once_and_where_they_belong),
        cmocka_unit_test(types_that_are_not_read_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
