/* Winograd's convolution, against the sum it stands for in double: random shapes, every
 * table of kernels, both directions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "random.h"
#include "real.h"
#include "winograd.h"

static uint64_t dice = 11;

static int64_t roll(int64_t low, int64_t high)
{
    return low + (int64_t)(test_random(&dice) * (double)(high - low + 1));
}

/* Evenly in -1..1. */
static sal_real *numbers(int64_t n)
{
    sal_real *x = malloc(sizeof(*x) * (size_t)(n ? n : 1));
    for (int64_t i = 0; i < n; i++)
        x[i] = (sal_real)(2 * test_random(&dice) - 1);
    return x;
}

struct trial {
    struct sal_winograd g;
    bool flipped;
    sal_real *x, *slope, *w, *scale, *base, *add;
    uint16_t *bits; /* of what passes, as slope */
    sal_real clamp_low, clamp_high;
    int64_t n_x, n_y; /* reals in blocks */
};

static int64_t reals(int64_t n, int64_t c, int64_t h, int64_t w)
{
    return sal_blocks(c) * n * h * w * SAL_BLOCK;
}

static uint16_t *random_bits(int64_t n)
{
    uint16_t *bits = malloc(sizeof(*bits) * (size_t)(n / SAL_BLOCK + 1));
    for (int64_t i = 0; i < n / SAL_BLOCK; i++)
        bits[i] = (uint16_t)roll(0, 0xffff);
    return bits;
}

static struct trial trial_of(const struct sal_winograd *g)
{
    struct trial t = {.g = *g, .flipped = roll(0, 1)};
    t.n_x = reals(g->in.n, g->in.c, g->in.h, g->in.w);
    t.n_y = reals(g->in.n, g->k, g->out_h, g->out_w);
    t.x = numbers(t.n_x);
    t.w = numbers(g->k * g->in.c * 9);
    t.bits = roll(0, 1) ? random_bits(t.n_x) : NULL;
    t.slope = !t.bits && roll(0, 1) ? numbers(t.n_x) : NULL;
    t.scale = roll(0, 1) ? numbers(t.flipped ? g->in.c : g->k) : NULL;
    t.base = roll(0, 1) ? numbers(sal_blocks(g->k) * SAL_BLOCK) : NULL;
    t.add = roll(0, 1) ? numbers(t.n_y) : NULL;
    t.clamp_low = roll(0, 1) ? 0 : -SAL_INFINITY;
    t.clamp_high = roll(0, 1) ? 6 : SAL_INFINITY;
    return t;
}

static void trial_release(struct trial *t)
{
    free(t->x);
    free(t->bits);
    free(t->slope);
    free(t->w);
    free(t->scale);
    free(t->base);
    free(t->add);
}

/* Where channel c of pixel (y, z) of image i lies. */
static int64_t place(int64_t n, int64_t h, int64_t w, int64_t i, int64_t c, int64_t y,
                     int64_t z)
{
    return (((c / SAL_BLOCK * n + i) * h + y) * w + z) * SAL_BLOCK + c % SAL_BLOCK;
}

static double source(const struct trial *t, int64_t i, int64_t c, int64_t y, int64_t z)
{
    const struct sal_blocked *in = &t->g.in;
    if (y < 0 || y >= in->h || z < 0 || z >= in->w)
        return 0;
    const int64_t at = place(in->n, in->h, in->w, i, c, y, z);
    if (t->bits && !(t->bits[at / SAL_BLOCK] >> at % SAL_BLOCK & 1))
        return 0;
    return (double)t->x[at] * (t->slope ? (double)t->slope[at] : 1);
}

static double weight(const struct trial *t, int64_t k, int64_t c, int tap)
{
    if (!t->flipped)
        return (double)t->w[(k * t->g.in.c + c) * 9 + tap] *
               (t->scale ? (double)t->scale[k] : 1);
    return (double)t->w[(c * t->g.k + k) * 9 + 8 - tap] *
           (t->scale ? (double)t->scale[c] : 1);
}

static double plain(const struct trial *t, int64_t i, int64_t k, int64_t y, int64_t z)
{
    const struct sal_winograd *g = &t->g;
    const int64_t at = place(g->in.n, g->out_h, g->out_w, i, k, y, z);
    double sum = t->base ? (double)t->base[k] : 0;
    for (int64_t c = 0; c < g->in.c; c++)
        for (int tap = 0; tap < 9; tap++)
            sum += weight(t, k, c, tap) *
                   source(t, i, c, y + tap / 3 - g->pad_top, z + tap % 3 - g->pad_left);
    sum += t->add ? (double)t->add[at] : 0;
    return fmin(fmax(sum, (double)t->clamp_low), (double)t->clamp_high);
}

static sal_real *pack(const struct trial *t, struct sal_pool *pool)
{
    sal_real *packed = malloc(sizeof(*packed) * sal_winograd_packed(&t->g));
    const size_t size = sizeof(*t->w) * (size_t)(t->g.k * t->g.in.c * 9);
    char *loose = malloc(size + 1); /* at an odd address, as in files */
    memcpy(loose + 1, t->w, size);
    sal_winograd_pack(&t->g, (const sal_loose *)(const void *)(loose + 1), t->scale,
                      t->flipped, packed, pool);
    free(loose);
    return packed;
}

/* The result on so many threads; images of the trial from `first` on. `add` goes
 * through y itself where in_place. */
static sal_real *run(const struct trial *t, int threads, bool in_place)
{
    struct sal_pool *pool = NULL;
    struct sal_error err = {0};
    if (threads > 1 && sal_pool_open(&pool, threads, &err))
        fail_msg("%s", err.text);
    sal_real *packed = pack(t, pool), *y = malloc(sizeof(*y) * (size_t)t->n_y);
    const size_t stride = sal_winograd_scratch(&t->g, threads);
    sal_real *scratch = malloc(sizeof(*scratch) * stride * (size_t)threads);
    if (in_place && t->add)
        memcpy(y, t->add, sizeof(*y) * (size_t)t->n_y);
    uint16_t *marks = calloc((size_t)t->n_y / SAL_BLOCK + 1, sizeof(*marks));
    sal_winograd_run(&t->g, &(struct sal_source){t->x, t->bits, t->slope}, packed,
                     &(struct sal_target){.base = t->base,
                                          .add = in_place && t->add ? y : t->add,
                                          .low = t->clamp_low,
                                          .high = t->clamp_high,
                                          .y = y,
                                          .saved.bits = marks},
                     pool, scratch, stride);
    for (int64_t i = 0; i < t->n_y; i++)
        assert_int_equal(marks[i / SAL_BLOCK] >> i % SAL_BLOCK & 1,
                         y[i] > t->clamp_low && y[i] < t->clamp_high);
    free(marks);
    free(scratch);
    free(packed);
    sal_pool_close(pool);
    return y;
}

/* Errors of sums of rounded products grow like the root of their number. For numbers of
 * variance 1/3 the spread of an output's error is 1 (F(2,3)) and 2 (F(4,3)) times
 * epsilon for each root of 9 C summands of 1/3; 14 times that is beyond chance. */
static double tolerance(const struct sal_winograd *g)
{
    return 14 * (g->tile == 4 ? 2 : 1) * (double)SAL_EPSILON *
           (2 + sqrt((double)g->in.c * 9));
}

static double worst; /* share of the tolerance that any error took */

static void expect_plain(const struct trial *t, const sal_real *y)
{
    const struct sal_winograd *g = &t->g;
    for (int64_t i = 0; i < g->in.n; i++)
        for (int64_t k = 0; k < g->k; k++)
            for (int64_t r = 0; r < g->out_h; r++)
                for (int64_t s = 0; s < g->out_w; s++) {
                    const double want = plain(t, i, k, r, s);
                    const double got =
                        (double)y[place(g->in.n, g->out_h, g->out_w, i, k, r, s)];
                    const double off = fabs(got - want) / tolerance(g);
                    worst = fmax(worst, off);
                    if (!(off <= 1))
                        fail_msg(
                            "%s, tile %d, %lldx%lldx%lldx%lld -> %lldx%lldx%lld%s: "
                            "%.9g at %lld,%lld,%lld,%lld, expected %.9g",
                            sal_lanes()->name, g->tile, (long long)g->in.n,
                            (long long)g->in.c, (long long)g->in.h, (long long)g->in.w,
                            (long long)g->k, (long long)g->out_h, (long long)g->out_w,
                            t->flipped ? ", flipped" : "", got, (long long)i,
                            (long long)k, (long long)r, (long long)s, want);
                }
}

/* Small more often than large. */
static int64_t size(int64_t most)
{
    const double r = test_random(&dice);
    return 1 + (int64_t)((double)most * r * r);
}

static struct sal_winograd shape(void)
{
    struct sal_winograd g;
    do {
        g = (struct sal_winograd){
            .in = {.n = roll(1, 3), .c = size(80), .h = size(40), .w = size(40)},
            .k = size(80),
            .pad_top = roll(0, 2),
            .pad_left = roll(0, 2),
            .tile = roll(0, 1) ? 4 : 2};
        g.out_h = g.in.h + g.pad_top + roll(0, 2) - 2;
        g.out_w = g.in.w + g.pad_left + roll(0, 2) - 2;
    } while (g.out_h < 1 || g.out_w < 1);
    return g;
}

/* A convolution that costs the test too much is left out. */
static bool dear(const struct sal_winograd *g)
{
    return (double)(g->in.n * g->in.c * g->k * g->out_h) * (double)g->out_w > 1e5;
}

static void random_shapes(void *unused)
{
    (void)unused;
    worst = 0;
    for (int i = 0; i < test_some(2000);) {
        struct sal_winograd g = shape();
        if (dear(&g))
            continue;
        struct trial t = trial_of(&g);
        sal_real *y = run(&t, 1, i % 2);
        expect_plain(&t, y);
        free(y);
        trial_release(&t);
        i++;
    }
    print_message("%s: worst error %.2f of the tolerance\n", sal_lanes()->name, worst);
    /* A tolerance that nothing comes near would hide faults. */
    assert_true(worst > 0.1);
}

static void test_shapes(void **state)
{
    (void)state;
    block_each_table(random_shapes, NULL);
}

/* Image i of a trial as a trial of its own. */
static struct trial image_of(const struct trial *t, int64_t i)
{
    struct trial one = *t;
    const struct sal_winograd *g = &t->g;
    const int64_t in = g->in.h * g->in.w * SAL_BLOCK,
                  out = g->out_h * g->out_w * SAL_BLOCK;
    one.g.in.n = 1;
    one.n_x = t->n_x / g->in.n;
    one.n_y = t->n_y / g->in.n;
    one.x = numbers(one.n_x);
    one.bits = t->bits ? random_bits(one.n_x) : NULL;
    one.slope = t->slope ? numbers(one.n_x) : NULL;
    one.add = t->add ? numbers(one.n_y) : NULL;
    for (int64_t b = 0; b < sal_blocks(g->in.c); b++) {
        memcpy(one.x + b * in, t->x + (b * g->in.n + i) * in,
               sizeof(*t->x) * (size_t)in);
        if (t->bits)
            memcpy(one.bits + b * in / SAL_BLOCK, t->bits + (b * g->in.n + i) * in / SAL_BLOCK,
                   sizeof(*t->bits) * (size_t)in / SAL_BLOCK);
        if (t->slope)
            memcpy(one.slope + b * in, t->slope + (b * g->in.n + i) * in,
                   sizeof(*t->x) * (size_t)in);
    }
    for (int64_t b = 0; t->add && b < sal_blocks(g->k); b++)
        memcpy(one.add + b * out, t->add + (b * g->in.n + i) * out,
               sizeof(*t->x) * (size_t)out);
    return one;
}

static void expect_image(const struct trial *t, int64_t i, const sal_real *all)
{
    const int64_t out = t->g.out_h * t->g.out_w * SAL_BLOCK;
    struct trial one = image_of(t, i);
    sal_real *y = run(&one, 1, false);
    for (int64_t b = 0; b < sal_blocks(t->g.k); b++)
        assert_memory_equal(y + b * out, all + (b * t->g.in.n + i) * out,
                            sizeof(*y) * (size_t)out);
    free(y);
    free(one.x);
    free(one.bits);
    free(one.slope);
    free(one.add);
}

static void same_bits(void *unused)
{
    (void)unused;
    /* Maps of every kind of cut: chunks per thread, one shared chunk, several. */
    static const int64_t sizes[][5] = {{3, 64, 30, 33, 64},   {2, 32, 56, 56, 32},
                                       {3, 128, 14, 14, 128}, {2, 256, 7, 7, 80},
                                       {3, 512, 9, 8, 40},    {2, 256, 28, 28, 48},
                                       {3, 1000, 13, 13, 33}, {1, 3, 3, 2, 1}};
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(*sizes); i++) {
        const int64_t *s = sizes[i / 2];
        struct trial t = trial_of(&(struct sal_winograd){.in = {s[0], s[1], s[2], s[3]},
                                                         .k = s[4],
                                                         .pad_top = 1,
                                                         .pad_left = 1,
                                                         .out_h = s[2],
                                                         .out_w = s[3],
                                                         .tile = i % 2 ? 4 : 2});
        sal_real *one = run(&t, 1, false);
        for (int threads = 2; threads <= 3; threads++) {
            sal_real *more = run(&t, threads, threads == 2);
            assert_memory_equal(one, more, sizeof(*one) * (size_t)t.n_y);
            free(more);
        }
        for (int64_t k = 0; k < t.g.in.n; k++)
            expect_image(&t, k, one);
        free(one);
        trial_release(&t);
    }
}

static void test_same_bits(void **state)
{
    (void)state;
    block_each_table(same_bits, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
