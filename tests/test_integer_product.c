/* Operators on integers, against what they are defined by: convolutions and products of
 * differences in exact arithmetic, and the rounding that takes sums back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "onnx_build.h"
#include "run_parts.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

static uint64_t dice = 5;

/* An integer of low..high. */
static int64_t roll(int64_t low, int64_t high)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return low + (int64_t)((dice >> 33) % (uint64_t)(high - low + 1));
}

static int64_t count_of(int rank, const int64_t *dims)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    return n;
}

/* Random bytes: an int8 or uint8 initialiser. */
static void put_bytes(struct onnx_build *b, const char *name, int type, int rank,
                      const int64_t *dims)
{
    int64_t n = count_of(rank, dims);
    uint8_t *bytes = malloc((size_t)n + 1);
    for (int64_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)roll(0, 255);
    onnx_build_raw(b, name, type, rank, dims, bytes, (size_t)n);
    free(bytes);
}

/* Runs a finished model without inputs but "x", which is filled with random bytes of its
 * type; calls look on the outputs. */
static void run(struct onnx_build *b, int threads,
                void (*look)(const struct sal_tensor *const *out, void *context),
                void *context)
{
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_run *r = NULL;
    struct sal_pool *pool = NULL;
    struct sal_error err = {0};
    const struct sal_tensor *out[4];
    if (sal_onnx_parse(&onnx, onnx_build_finish(b), "case", &err) ||
        sal_pool_open(&pool, threads, &err) ||
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){.pool = pool}, &err) ||
        sal_run_open_graph(
            &r, &graph,
            &(struct sal_run_options){.memory = (size_t)1 << 30, .pool = pool}, &err))
        fail_msg("%s", err.text);
    struct sal_tensor *x = sal_run_tensor(r, graph.inputs[0]);
    uint64_t before = dice;
    for (int64_t i = 0; i < sal_shape_count(&x->shape); i++)
        x->i64[i] = x->type == SAL_ONNX_INT8 ? roll(-128, 127) : roll(0, 255);
    dice = before;
    assert_int_equal(sal_run_pass(r, NULL, &err), SAL_OK);
    for (int i = 0; i < graph.n_outputs; i++)
        out[i] = sal_run_tensor(r, graph.outputs[i]);
    look(out, context);
    sal_run_close(r);
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
    sal_pool_close(pool);
}

/* ---- two ways to one result ------------------------------------------------------------ */

/* Both outputs hold the same integers, one as reals. */
static void same_integers(const struct sal_tensor *const *out, void *name)
{
    assert_true(sal_shape_equal(&out[0]->shape, &out[1]->shape));
    for (int64_t i = 0; i < sal_shape_count(&out[0]->shape); i++)
        if (!((double)out[0]->i64[i] == (double)out[1]->real[i]))
            fail_msg("%s: element %lld is %lld, expected %.9g", (char *)name, (long long)i,
                     (long long)out[0]->i64[i], (double)out[1]->real[i]);
}

/* name_real = name - name_zero, as float32. */
static void put_difference(struct onnx_build *b, const char *name)
{
    char in[64], out[64], wide[64];
    snprintf(out, sizeof(out), "%s_float", name);
    onnx_build_node(b, "Cast", name, out);
    onnx_build_int(b, "to", SAL_ONNX_FLOAT);
    snprintf(in, sizeof(in), "%s_zero", name);
    snprintf(wide, sizeof(wide), "%s_zero_float", name);
    onnx_build_node(b, "Cast", in, wide);
    onnx_build_int(b, "to", SAL_ONNX_FLOAT);
    snprintf(in, sizeof(in), "%s_float,%s_zero_float", name, name);
    snprintf(out, sizeof(out), "%s_real", name);
    onnx_build_node(b, "Sub", in, out);
}

struct convolution {
    int axes;
    int64_t n, group, c, k; /* channels in and out of a group */
    int64_t size[3], kernel[3], stride[3], dilation[3], pads[6];
    int x_type, w_type;
};

static void put_window(struct onnx_build *b, const struct convolution *v)
{
    onnx_build_int(b, "group", v->group);
    onnx_build_ints(b, "strides", v->axes, v->stride);
    onnx_build_ints(b, "dilations", v->axes, v->dilation);
    onnx_build_ints(b, "pads", 2 * v->axes, v->pads);
}

static void check_convolution(const struct convolution *v)
{
    struct onnx_build b;
    int64_t x[5] = {v->n, v->group * v->c}, w[5] = {v->group * v->k, v->c};
    memcpy(x + 2, v->size, sizeof(v->size));
    memcpy(w + 2, v->kernel, sizeof(v->kernel));
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", v->x_type, 2 + v->axes, x);
    put_bytes(&b, "w", v->w_type, 2 + v->axes, w);
    put_bytes(&b, "x_zero", v->x_type, 0, NULL);
    put_bytes(&b, "w_zero", v->w_type, 0, NULL);
    onnx_build_node(&b, "ConvInteger", "x,w,x_zero,w_zero", "y");
    put_window(&b, v);
    put_difference(&b, "x");
    put_difference(&b, "w");
    onnx_build_node(&b, "Conv", "x_real,w_real", "expected");
    put_window(&b, v);
    onnx_build_output(&b, "y", SAL_ONNX_INT32, -1, NULL);
    onnx_build_output(&b, "expected", SAL_ONNX_FLOAT, -1, NULL);
    char name[] = "ConvInteger";
    run(&b, 2, same_integers, name);
    onnx_build_release(&b);
}

/* Sums stay below 2^24, so that float holds them too. */
static void integer_convolutions_are_convolutions_of_differences(void **state)
{
    (void)state;
    for (int trial = 0; trial < 60; trial++) {
        struct convolution v = {.axes = (int)roll(1, 3), .n = roll(1, 2)};
        v.group = roll(1, 3);
        v.c = roll(1, 4);
        v.k = trial % 10 ? roll(1, 5) : 70;
        v.x_type = roll(0, 1) ? SAL_ONNX_UINT8 : SAL_ONNX_INT8;
        v.w_type = roll(0, 1) ? SAL_ONNX_UINT8 : SAL_ONNX_INT8;
        for (int i = 0; i < v.axes; i++) {
            v.kernel[i] = roll(1, 3);
            v.stride[i] = roll(1, 3);
            v.dilation[i] = roll(1, 2);
            v.size[i] = v.kernel[i] * v.dilation[i] + roll(0, v.axes == 3 ? 4 : 12);
            v.pads[i] = roll(0, 2);
            v.pads[v.axes + i] = roll(0, 2);
        }
        check_convolution(&v);
    }
}

static void check_product(int rank_a, const int64_t *a, int rank_b, const int64_t *b_dims)
{
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_UINT8, rank_a, a);
    put_bytes(&b, "w", SAL_ONNX_INT8, rank_b, b_dims);
    put_bytes(&b, "x_zero", SAL_ONNX_UINT8, 0, NULL);
    put_bytes(&b, "w_zero", SAL_ONNX_INT8, 1, DIMS(1));
    onnx_build_node(&b, "MatMulInteger", "x,w,x_zero,w_zero", "y");
    put_difference(&b, "x");
    put_difference(&b, "w");
    onnx_build_node(&b, "MatMul", "x_real,w_real", "expected");
    onnx_build_output(&b, "y", SAL_ONNX_INT32, -1, NULL);
    onnx_build_output(&b, "expected", SAL_ONNX_FLOAT, -1, NULL);
    char name[] = "MatMulInteger";
    run(&b, 2, same_integers, name);
    onnx_build_release(&b);
}

static void integer_products_are_products_of_differences(void **state)
{
    (void)state;
    check_product(2, DIMS(2, 3), 2, DIMS(3, 4));
    check_product(1, DIMS(3), 2, DIMS(3, 4));
    check_product(2, DIMS(2, 3), 1, DIMS(3));
    check_product(1, DIMS(3), 1, DIMS(3));
    check_product(4, DIMS(2, 1, 5, 7), 3, DIMS(3, 7, 2));
    check_product(3, DIMS(4, 2, 7), 4, DIMS(2, 1, 7, 3));
    check_product(2, DIMS(65, 257), 2, DIMS(257, 129)); /* across blocks */
    check_product(2, DIMS(2, 0), 2, DIMS(0, 3));
    check_product(2, DIMS(0, 2), 2, DIMS(2, 3));
}

/* ---- long sums --------------------------------------------------------------------------- */

enum { LONG = 30001 };

/* 30001 x 255 x 127 has 30 bits: float would not hold it, int32 just does. */
static void exact_sum(const struct sal_tensor *const *out, void *context)
{
    (void)context;
    assert_int_equal(out[0]->i64[0], INT64_C(255) * 127 * LONG);
    assert_int_equal(out[0]->i64[1], INT64_C(-255) * 128 * LONG);
}

static void sums_are_exact_however_long(void **state)
{
    (void)state;
    struct onnx_build b;
    uint8_t *a = malloc(LONG), *w = malloc(2 * LONG);
    memset(a, 255, LONG);
    for (int i = 0; i < LONG; i++) {
        w[2 * i] = 127;
        w[2 * i + 1] = 128; /* -128 */
    }
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_UINT8, 1, DIMS(1));
    onnx_build_raw(&b, "a", SAL_ONNX_UINT8, 2, DIMS(1, LONG), a, LONG);
    onnx_build_raw(&b, "w", SAL_ONNX_INT8, 2, DIMS(LONG, 2), w, 2 * LONG);
    /* x - x, so that nothing folds. */
    onnx_build_node(&b, "Sub", "x,x", "nil");
    onnx_build_node(&b, "Add", "a,nil", "computed");
    onnx_build_node(&b, "MatMulInteger", "computed,w", "y");
    onnx_build_output(&b, "y", SAL_ONNX_INT32, -1, NULL);
    run(&b, 1, exact_sum, NULL);
    onnx_build_release(&b);
    free(a);
    free(w);
}

/* ---- back to integers --------------------------------------------------------------------- */

struct requantised {
    const float *factor; /* per output column */
    int zero;
};

/* rint(sum * factor) + zero, within int8. */
static void rounded_sums(const struct sal_tensor *const *out, void *context)
{
    const struct requantised *r = context;
    int64_t columns = out[0]->shape.dim[1], inner = sal_shape_span(&out[0]->shape, 2,
                                                                   out[0]->shape.rank);
    bool low = false, high = false;
    for (int64_t i = 0; i < sal_shape_count(&out[0]->shape); i++) {
        float factor = r->factor[i / inner % columns];
        double y = (double)rintf((float)out[1]->i64[i] * factor) + r->zero;
        y = y < -128 ? -128 : y > 127 ? 127 : y;
        low |= y == -128;
        high |= y == 127;
        if (!((double)out[0]->i64[i] == y))
            fail_msg("element %lld is %lld, expected %g", (long long)i,
                     (long long)out[0]->i64[i], y);
    }
    assert_true(low && high);
}

static const float w_scales[] = {0.25f, 0.0625f, 0.3f};
static const float factors[] = {0.5f * 0.25f / 100, 0.5f * 0.0625f / 100,
                                0.5f * 0.3f / 100};

static void put_parameters(struct onnx_build *b)
{
    onnx_build_weights(b, "xs", 0, NULL, (float[]){0.5f});
    onnx_build_weights(b, "ws", 1, DIMS(3), w_scales);
    onnx_build_weights(b, "ys", 0, NULL, (float[]){100});
    put_bytes(b, "xz", SAL_ONNX_UINT8, 0, NULL);
    put_bytes(b, "wz", SAL_ONNX_INT8, 1, DIMS(3));
    onnx_build_raw(b, "yz", SAL_ONNX_INT8, 0, NULL, (int8_t[]){-9}, 1);
}

static void products_are_rounded_to_even_and_saturate(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_UINT8, 2, DIMS(40, 20));
    put_bytes(&b, "w", SAL_ONNX_INT8, 2, DIMS(20, 3));
    put_parameters(&b);
    onnx_build_node(&b, "QLinearMatMul", "x,xs,xz,w,ws,wz,ys,yz", "y");
    onnx_build_node(&b, "MatMulInteger", "x,w,xz,wz", "sums");
    onnx_build_output(&b, "y", SAL_ONNX_INT8, -1, NULL);
    onnx_build_output(&b, "sums", SAL_ONNX_INT32, -1, NULL);
    run(&b, 2, rounded_sums, &(struct requantised){factors, -9});
    onnx_build_release(&b);
}

static void convolutions_are_rounded_to_even_and_saturate(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_UINT8, 4, DIMS(2, 2, 9, 8));
    put_bytes(&b, "w", SAL_ONNX_INT8, 4, DIMS(3, 2, 3, 2));
    put_parameters(&b);
    static const int32_t bias[] = {200000, -700000, 5};
    onnx_build_raw(&b, "bias", SAL_ONNX_INT32, 1, DIMS(3), bias, sizeof(bias));
    onnx_build_raw(&b, "biases", SAL_ONNX_INT32, 3, DIMS(3, 1, 1), bias, sizeof(bias));
    onnx_build_node(&b, "QLinearConv", "x,xs,xz,w,ws,wz,ys,yz,bias", "y");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 0, 1, 1));
    onnx_build_node(&b, "ConvInteger", "x,w,xz,wz", "plain");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 0, 1, 1));
    onnx_build_node(&b, "Add", "plain,biases", "sums");
    onnx_build_output(&b, "y", SAL_ONNX_INT8, -1, NULL);
    onnx_build_output(&b, "sums", SAL_ONNX_INT32, -1, NULL);
    run(&b, 2, rounded_sums, &(struct requantised){factors, -9});
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_convolutions_are_convolutions_of_differences),
        cmocka_unit_test(integer_products_are_products_of_differences),
        cmocka_unit_test(sums_are_exact_however_long),
        cmocka_unit_test(products_are_rounded_to_even_and_saturate),
        cmocka_unit_test(convolutions_are_rounded_to_even_and_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
