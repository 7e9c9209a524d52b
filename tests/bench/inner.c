/*
 * Least times of inner operators at the shapes of well-known models, batch 1:
 *
 *   build/release/tests/bench/inner [-t threads] [-b batch] [-i table] [-g inputs]
 * [word ...]
 *
 * prints those whose name holds one of the words: microseconds forward and back,
 * GFLOP/s, and GB/s of what must be read and written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "blocked.h"
#include "inner_affine.h"
#include "inner_depthwise.h"
#include "inner_pool.h"
#include "lone.h"
#include "real.h"

static struct sal_pool *pool;
static int64_t batch = 1;
static unsigned wanted = 1; /* inputs whose gradient is */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds of the quickest call within a tenth of a second. */
static double least_time(struct lone *lone, bool back)
{
    double least = 1, begin = now(), at = begin;
    do {
        double from = now();
        if (back)
            lone_backward(lone, pool, wanted);
        else
            lone_forward(lone, pool);
        at = now();
        least = at - from < least ? at - from : least;
    } while (at - begin < 0.1);
    return least;
}

static void fill(sal_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (sal_real)(i * 7919 % 1000) / 500 - 1;
}

static double bytes_of(const struct sal_tensor *t)
{
    return (double)sal_shape_count(&t->shape) * (double)sizeof(sal_real);
}

/* Backward reads dy, y and dx and writes dx. */
static void report(const char *name, struct lone *lone)
{
    double x = bytes_of(&lone->in[0]), y = bytes_of(&lone->out), flops = 0;
    const struct sal_tensor *in[LONE_INPUTS], *out[2] = {&lone->out, &lone->saved};
    for (int i = 0; i < lone->node.n_in; i++)
        in[i] = &lone->in[i];
    struct sal_kernel k = {.node = &lone->node, .in = in, .out = out};
    if (lone->node.op->macs)
        flops = 2 * lone->node.op->macs(&k);
    fill(lone->in[0].real, sal_shape_count(&lone->in[0].shape));
    fill(lone->dy, sal_shape_count(&lone->out.shape));
    double forward = least_time(lone, false), back = least_time(lone, true);
    printf(
        "%-34s %8.1f us %6.1f GF/s %6.1f GB/s   back %8.1f us %6.1f GF/s %6.1f GB/s\n",
        name, forward * 1e6, flops / forward * 1e-9, (x + y) / forward * 1e-9,
        back * 1e6, flops / back * 1e-9, (2 * x + y) / back * 1e-9);
}

/* ---- depthwise ------------------------------------------------------------------ */

static const struct depthwise {
    const char *name;
    int64_t c, size, kernel, stride;
    bool clamped;
} depthwise[] = {
    {"mobilenet_v2 3x3 32@112", 32, 112, 3, 1, true},
    {"mobilenet_v2 3x3/2 96@112", 96, 112, 3, 2, true},
    {"mobilenet_v2 3x3 144@56", 144, 56, 3, 1, true},
    {"mobilenet_v2 3x3/2 144@56", 144, 56, 3, 2, true},
    {"mobilenet_v2 3x3 192@28", 192, 28, 3, 1, true},
    {"mobilenet_v2 3x3 384@14", 384, 14, 3, 1, true},
    {"mobilenet_v2 3x3 576@14", 576, 14, 3, 1, true},
    {"mobilenet_v2 3x3/2 576@14", 576, 14, 3, 2, true},
    {"mobilenet_v2 3x3 960@7", 960, 7, 3, 1, true},
    {"efficientnet_b0 5x5/2 144@56", 144, 56, 5, 2, false},
    {"efficientnet_b0 5x5 240@28", 240, 28, 5, 1, false},
    {"efficientnet_b0 5x5 672@14", 672, 14, 5, 1, false},
    {"efficientnet_b0 5x5/2 672@14", 672, 14, 5, 2, false},
    {"efficientnet_b0 5x5 1152@7", 1152, 7, 5, 1, false},
    {"convnext_tiny 7x7 96@56", 96, 56, 7, 1, false},
    {"convnext_tiny 7x7 192@28", 192, 28, 7, 1, false},
    {"convnext_tiny 7x7 384@14", 384, 14, 7, 1, false},
    {"convnext_tiny 7x7 768@7", 768, 7, 7, 1, false},
};

static void time_depthwise(const struct depthwise *d)
{
    const int64_t k = d->kernel, blocks = sal_blocks(d->c);
    struct sal_inner_depthwise_attr attr = {.window = {.rank = 2,
                                                       .kernel = {k, k},
                                                       .stride = {d->stride, d->stride},
                                                       .dilation = {1, 1},
                                                       .pad_begin = {k / 2, k / 2},
                                                       .pad_end = {k / 2, k / 2}},
                                            .low = d->clamped ? 0 : -SAL_INFINITY,
                                            .high = d->clamped ? 6 : SAL_INFINITY,
                                            .saves = d->clamped};
    struct lone lone;
    lone_init(&lone, sal_inner_depthwise_op(&attr), &attr);
    lone_input(&lone, 5, (int64_t[]){blocks, batch, d->size, d->size, SAL_BLOCK});
    fill(lone_input(&lone, 4, (int64_t[]){blocks, k, k, SAL_BLOCK}),
         blocks * k * k * SAL_BLOCK);
    fill(lone_input(&lone, 1, (int64_t[]){blocks * SAL_BLOCK}), blocks * SAL_BLOCK);
    lone_infer(&lone, true);
    report(d->name, &lone);
    lone_release(&lone);
}

/* ---- pools ---------------------------------------------------------------------- */

static const struct pooling {
    const char *name;
    const struct sal_op *op;
    int64_t c, size, kernel, stride, pad;
} poolings[] = {
    {"resnet max 3x3/2 64@112", &sal_inner_max_pool, 64, 112, 3, 2, 1},
    {"vgg max 2x2/2 64@224", &sal_inner_max_pool, 64, 224, 2, 2, 0},
    {"squeezenet max 3x3/2 128@54", &sal_inner_max_pool, 128, 54, 3, 2, 0},
    {"googlenet max 3x3 256@28", &sal_inner_max_pool, 256, 28, 3, 1, 1},
    {"densenet average 2x2/2 256@28", &sal_inner_average_pool, 256, 28, 2, 2, 0},
    {"inception average 3x3 288@35", &sal_inner_average_pool, 288, 35, 3, 1, 1},
    {"mean 2048@7", &sal_inner_mean, 2048, 7, 1, 1, 0},
    {"mean 96@112", &sal_inner_mean, 96, 112, 1, 1, 0},
};

static void time_pooling(const struct pooling *p)
{
    struct sal_pool_attr attr = {.window = {.rank = 2,
                                            .kernel = {p->kernel, p->kernel},
                                            .stride = {p->stride, p->stride},
                                            .dilation = {1, 1},
                                            .pad_begin = {p->pad, p->pad},
                                            .pad_end = {p->pad, p->pad}}};
    struct lone lone;
    lone_init(&lone, p->op, &attr);
    lone_input(&lone, 5,
               (int64_t[]){sal_blocks(p->c), batch, p->size, p->size, SAL_BLOCK});
    lone_infer(&lone, true);
    report(p->name, &lone);
    lone_release(&lone);
}

/* ---- element by element --------------------------------------------------------- */

/* A plain operator of x and, where there is one, of another that is as large, one pixel
 * per image, or a number. */
static const struct elementwise {
    const char *name, *op;
    int64_t c, size;
    enum { ALONE, EQUAL, PIXEL, NUMBER, AFFINE } other;
} elementwise[] = {
    {"affine densenet 64@56", NULL, 64, 56, AFFINE},
    {"affine densenet 256@56", NULL, 256, 56, AFFINE},
    {"affine densenet 512@28", NULL, 512, 28, AFFINE},
    {"affine densenet 1024@14", NULL, 1024, 14, AFFINE},
    {"affine densenet 1024@7", NULL, 1024, 7, AFFINE},
    {"Relu 96@112", "Relu", 96, 112, ALONE},
    {"Relu 192@28", "Relu", 192, 28, ALONE},
    {"Add 256@56", "Add", 256, 56, EQUAL},
    {"Add 192@28", "Add", 192, 28, EQUAL},
    {"Mul 96@112", "Mul", 96, 112, EQUAL},
    {"Mul 240@28", "Mul", 240, 28, EQUAL},
    {"Mul 240@28 by number", "Mul", 240, 28, NUMBER},
    {"Mul 96@112 by channel", "Mul", 96, 112, PIXEL},
    {"Mul 240@28 by channel", "Mul", 240, 28, PIXEL},
    {"Mul 1152@7 by channel", "Mul", 1152, 7, PIXEL},
};

/* What attributes make of Relu: its two numbers. */
static const sal_real no_numbers[2];

static void time_elementwise(const struct elementwise *e)
{
    static const struct sal_inner_affine_attr clamp = {0, SAL_INFINITY};
    const struct sal_op *op = e->op ? sal_op_find(e->op) : &sal_inner_affine;
    const int64_t blocks = sal_blocks(e->c), n = blocks * SAL_BLOCK;
    const int64_t x[] = {blocks, batch, e->size, e->size, SAL_BLOCK};
    const int64_t pixel[] = {blocks, batch, 1, 1, SAL_BLOCK};
    struct lone lone;
    lone_init(&lone, op,
              e->other == AFFINE  ? (const void *)&clamp
              : e->other == ALONE ? (const void *)no_numbers
                                  : NULL);
    lone_input(&lone, 5, x);
    if (e->other == EQUAL || e->other == PIXEL)
        lone_input(&lone, 5, e->other == EQUAL ? x : pixel);
    for (int i = 0; i < (e->other == AFFINE ? 2 : e->other == NUMBER); i++)
        fill(lone_input(&lone, 1, e->other == AFFINE ? &n : (int64_t[]){1}), 1);
    lone_infer(&lone, true);
    report(e->name, &lone);
    lone_release(&lone);
}

/* ---- the program ---------------------------------------------------------------- */

static char **words;
static int n_words;

static bool asked(const char *name)
{
    for (int i = 0; i < n_words; i++)
        if (strstr(name, words[i]))
            return true;
    return n_words == 0;
}

/* The instruction set: 0 is the plainest. */
static bool use_table(int i)
{
    int n;
    const struct sal_lanes *const *all = sal_lanes_all(&n);
    if (i < 0 || i >= n || !sal_lanes_supported(all[i]))
        return false;
    sal_lanes_use(all[i]);
    return true;
}

#define EACH(table, time)                                                              \
    for (size_t i = 0; i < sizeof(table) / sizeof(*(table)); i++)                      \
        if (asked((table)[i].name))                                                    \
            time(&(table)[i]);

int main(int argc, char **argv)
{
    int option, threads = 1;
    struct sal_error err;
    while ((option = getopt(argc, argv, "t:b:i:g:")) > 0)
        if (option == 't')
            threads = atoi(optarg);
        else if (option == 'b')
            batch = atoi(optarg);
        else if (option == 'g')
            wanted = (unsigned)atoi(optarg);
        else if (option != 'i' || !use_table(atoi(optarg)))
            return 2;
    words = argv + optind;
    n_words = argc - optind;
    if (sal_pool_open(&pool, threads, &err))
        return 1;
    EACH(depthwise, time_depthwise)
    EACH(poolings, time_pooling)
    EACH(elementwise, time_elementwise)
    sal_pool_close(pool);
    return 0;
}
