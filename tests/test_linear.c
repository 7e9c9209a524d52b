/* Linear layers against plain sums in double: every shape a cut may have, every table. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "linear.h"
#include "random.h"
#include "saliscope/pool.h"

static uint64_t state_of_random = 11;

static float *numbers(size_t n)
{
    float *values = malloc(sizeof(*values) * (n + 1));
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(test_random(&state_of_random) * 2 - 1);
    values[n] = -77; /* nobody writes here */
    return values;
}

/* A layer with all that it may have. */
struct layer {
    int64_t rows, c, k;
    bool turned, based, added, gelu, scaled;
    float *x, *w, *base, *add, *scale;
};

static struct layer layer_of(int64_t rows, int64_t c, int64_t k, int form)
{
    struct layer layer = {rows, c, k, form & 1, form & 2, form & 4, form & 8, form & 16,
                          numbers((size_t)(rows * c)), numbers((size_t)(c * k)),
                          numbers((size_t)(sal_blocks(k) * SAL_BLOCK)),
                          numbers((size_t)(rows * k)), numbers((size_t)k)};
    return layer;
}

static void layer_release(struct layer *layer)
{
    free(layer->x);
    free(layer->w);
    free(layer->base);
    free(layer->add);
    free(layer->scale);
}

static struct sal_linear_weights weights_of(const struct layer *layer)
{
    return (struct sal_linear_weights){
        .c = layer->c,
        .k = layer->k,
        .w = layer->w,
        .c_step = layer->turned ? 1 : layer->k,
        .k_step = layer->turned ? layer->c : 1,
        .k_scale = layer->scaled ? layer->scale : NULL,
    };
}

static double weight_at(const struct layer *layer, int64_t c, int64_t k)
{
    struct sal_linear_weights w = weights_of(layer);
    double scale = w.k_scale ? (double)w.k_scale[k] : 1;
    return (double)w.w[c * w.c_step + k * w.k_step] * scale;
}

static float *run(const struct sal_linear_weights *weights, struct sal_linear linear,
                  int threads)
{
    struct sal_pool *pool;
    struct sal_error err;
    assert_int_equal(sal_pool_open(&pool, threads, &err), SAL_OK);
    linear.c = weights->c;
    linear.k = weights->k;
    size_t each = sal_linear_scratch(linear.rows, linear.c);
    float *packed = numbers(sal_linear_packed(linear.c, linear.k));
    float *scratch = numbers(each * (size_t)threads);
    float *y = numbers((size_t)(linear.rows * linear.k));
    if (linear.add)
        memcpy(y, linear.add, sizeof(*y) * (size_t)(linear.rows * linear.k));
    linear.add = linear.add ? y : NULL; /* in place, as gradients are added */
    linear.packed = packed;
    linear.y = y;
    sal_linear_pack(weights, packed, pool);
    sal_linear_run(&linear, pool, scratch, each);
    assert_true(scratch[each * (size_t)threads] == -77);
    assert_true(packed[sal_linear_packed(linear.c, linear.k)] == -77);
    assert_true(y[linear.rows * linear.k] == -77);
    free(packed);
    free(scratch);
    sal_pool_close(pool);
    return y;
}

static float *forward(const struct layer *layer, int64_t rows, int threads)
{
    struct sal_linear_weights weights = weights_of(layer);
    struct sal_linear linear = {.rows = rows,
                                .x = layer->x,
                                .base = layer->based ? layer->base : NULL,
                                .add = layer->added ? layer->add : NULL,
                                .gelu = layer->gelu};
    return run(&weights, linear, threads);
}

static double right_at(const struct layer *layer, int64_t row, int64_t k)
{
    double sum = layer->based ? (double)layer->base[k] : 0;
    for (int64_t c = 0; c < layer->c; c++)
        sum += (double)layer->x[row * layer->c + c] * weight_at(layer, c, k);
    sum += layer->added ? (double)layer->add[row * layer->k + k] : 0;
    return layer->gelu ? sum * erfc(-sum * M_SQRT1_2) / 2 : sum;
}

static void check(const struct layer *layer)
{
    float *y = forward(layer, layer->rows, 1);
    double tolerance = 1e-7 * (16 + (double)layer->c);
    for (int64_t row = 0; row < layer->rows; row++)
        for (int64_t k = 0; k < layer->k; k++) {
            double got = (double)y[row * layer->k + k], right = right_at(layer, row, k);
            if (!(fabs(got - right) <= tolerance))
                fail_msg("%s, %d x %d x %d: y[%d][%d] is %.9g, not %.9g",
                         sal_lanes()->name, (int)layer->rows, (int)layer->c, (int)layer->k,
                         (int)row, (int)k, got, right);
        }
    free(y);
}

/* <A x, y> is <x, A' y>. */
static void check_adjoint(const struct layer *layer)
{
    struct sal_linear_weights weights = weights_of(layer);
    struct sal_linear_weights turned = sal_linear_turned(&weights);
    struct sal_linear there = {.rows = layer->rows, .x = layer->x};
    struct sal_linear back = {.rows = layer->rows, .x = layer->add};
    float *y = run(&weights, there, 1), *dx = run(&turned, back, 2);
    double left = 0, right = 0, size = 0;
    for (int64_t i = 0; i < layer->rows * layer->k; i++) {
        left += (double)y[i] * (double)layer->add[i];
        size += fabs((double)y[i] * (double)layer->add[i]);
    }
    for (int64_t i = 0; i < layer->rows * layer->c; i++)
        right += (double)dx[i] * (double)layer->x[i];
    if (!(fabs(left - right) <= 2e-6 * size))
        fail_msg("%s, %d x %d x %d: %.9g there, %.9g back", sal_lanes()->name,
                 (int)layer->rows, (int)layer->c, (int)layer->k, left, right);
    free(y);
    free(dx);
}

/* The first rows come out the same, whoever comes after them and whoever computes. */
static void check_cuts(const struct layer *layer)
{
    float *all = forward(layer, layer->rows, 1);
    for (int threads = 2; threads <= 5; threads += 3) {
        float *again = forward(layer, layer->rows, threads);
        assert_memory_equal(all, again, sizeof(*all) * (size_t)(layer->rows * layer->k));
        free(again);
    }
    for (int64_t rows = 1; rows < layer->rows; rows += 1 + layer->rows / 5) {
        float *some = forward(layer, rows, 1);
        assert_memory_equal(all, some, sizeof(*all) * (size_t)(rows * layer->k));
        free(some);
    }
    free(all);
}

static void with_layer(int64_t rows, int64_t c, int64_t k, int form,
                       void (*test)(const struct layer *layer))
{
    struct layer layer = layer_of(rows, c, k, form);
    test(&layer);
    layer_release(&layer);
}

static int up_to(int n)
{
    return 1 + (int)(test_random(&state_of_random) * n);
}

static void try_sizes(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1500; i++)
        with_layer(up_to(40), up_to(70), up_to(70), i % 32, check);
    with_layer(197, 200, 130, 2, check);
    with_layer(33, 3072, 40, 6, check);
    with_layer(3, 5000, 17, 1, check);
}

static void try_adjoints(void *unused)
{
    (void)unused;
    for (int i = 0; i < 300; i++)
        with_layer(up_to(40), up_to(70), up_to(70), i % 32 & ~14, check_adjoint);
}

static void try_cuts(void *unused)
{
    (void)unused;
    for (int i = 0; i < 60; i++)
        with_layer(up_to(60), up_to(70), up_to(200), i % 32, check_cuts);
    with_layer(197, 768, 96, 15, check_cuts);
}

/* ---- tests ------------------------------------------------------------------------ */

static void layers_are_what_plain_sums_say(void **state)
{
    (void)state;
    block_each_table(try_sizes, NULL);
}

static void turned_weights_are_the_adjoint(void **state)
{
    (void)state;
    block_each_table(try_adjoints, NULL);
}

static void bits_depend_neither_on_threads_nor_on_further_rows(void **state)
{
    (void)state;
    block_each_table(try_cuts, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_what_plain_sums_say),
        cmocka_unit_test(turned_weights_are_the_adjoint),
        cmocka_unit_test(bits_depend_neither_on_threads_nor_on_further_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
