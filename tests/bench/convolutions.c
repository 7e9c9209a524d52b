/*
 * Times 3x3 convolutions one by one: Winograd F(2,3) and F(4,3), and the plain sum on
 * the same tile.
 *
 *     convolutions [-t THREADS] [-s SECONDS] [-w] [-v VARIANT] [-k TABLE] [CxK@HxN ...]
 *
 * Without shapes: those of known networks. Variants of a shape take turns for SECONDS
 * (1), the least time counts. TABLE is the number of a table of kernels, 0 the
 * plainest. Weights come from memory as in a network, unless -w (warm). A line has what
 * each reaches in GFLOP/s of the plain sum's operations: the greatest of them tells how
 * to compute that shape.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "real.h"
#include "winograd.h"

enum { COLD = 96 << 20, COPIES_MAX = 64, PAGES = 2 << 20 };

/* Seconds; of the processor where nothing else of this program runs, so that other
 * programs' turns do not count. */
static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static sal_real *reals(size_t n)
{
    size_t size = (n * sizeof(sal_real) / PAGES + 1) * PAGES;
    sal_real *x = aligned_alloc(PAGES, size);
    if (!x) {
        fprintf(stderr, "convolutions: no memory\n");
        exit(1);
    }
    madvise(x, size, MADV_HUGEPAGE);
    memset(x, 0, size);
    return x;
}

static sal_real *numbers(size_t n)
{
    static uint32_t state = 1;
    sal_real *x = reals(n);
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        x[i] = SAL_REAL_OF(state >> 8) / (1 << 24) - SAL_REAL_OF(0.5);
    }
    return x;
}

struct shape {
    int64_t c, k, h, n;
};

struct bench {
    struct shape shape;
    struct sal_pool *pool;
    const sal_real *x, *padded, *base;
    sal_real *y, *scratch;
    bool warm;
};

struct variant {
    const char *name;
    int tile;    /* 0: plain */
    size_t size; /* of the weights */
    sal_real *copy[COPIES_MAX];
    int copies, turn;
    double best;
    bool skipped;
};

static struct sal_winograd winograd_of(const struct shape *s, int tile)
{
    return (struct sal_winograd){.in = {s->n, s->c, s->h, s->h},
                                 .k = s->k,
                                 .pad_top = 1,
                                 .pad_left = 1,
                                 .out_h = s->h,
                                 .out_w = s->h,
                                 .tile = tile};
}

/* ---- the plain sum --------------------------------------------------------------- */

struct plain {
    const struct bench *b;
    const sal_real *w;
    int64_t parts, rows; /* row blocks of an image, and their height */
    bool by_group;       /* a job is one group of outputs, else all */
};

static void plain_rows(const struct plain *p, int64_t image, int64_t group, int64_t y0,
                       int64_t y1)
{
    const struct shape *s = &p->b->shape;
    const struct sal_lanes *lanes = sal_lanes();
    const int64_t wide = s->h + 2, plane = wide * wide * SAL_BLOCK,
                  blocks = sal_blocks(s->c);
    const int width =
        (int)(sal_blocks(s->k) - group * lanes->width < lanes->width ? 1
                                                                     : lanes->width);
    const int64_t out = s->h * s->h * SAL_BLOCK;
    const int two = s->h <= lanes->pixels / 2 ? 2 : 1;
    ptrdiff_t taps[9];
    for (int i = 0; i < 9; i++)
        taps[i] = (i / 3 * wide + i % 3) * SAL_BLOCK;
    struct sal_tile t = {.taps = taps,
                         .n_taps = 9,
                         .blocks = (int)blocks,
                         .lanes = (int)(s->c - (blocks - 1) * SAL_BLOCK),
                         .in_block = plane * s->n,
                         .in_row = wide * SAL_BLOCK,
                         .w = p->w + group * lanes->width * blocks * 9 * 256,
                         .base = p->b->base,
                         .out_pixel = SAL_BLOCK,
                         .out_row = s->h * SAL_BLOCK,
                         .out_block = out * s->n,
                         .low = 0,
                         .high = SAL_INFINITY};
    const sal_real *next = t.w + (int64_t)width * blocks * 9 * 256;
    if ((group + 1) * lanes->width >= sal_blocks(s->k))
        next = NULL;
    int nth = 0;
    const int64_t strips = (s->h + lanes->pixels - 1) / lanes->pixels;
    for (int64_t y = y0; y < y1;) {
        const int rows = y + two <= y1 ? two : 1;
        for (int64_t i = 0; i < strips; i++) {
            const int64_t x0 = s->h * i / strips, x1 = s->h * (i + 1) / strips;
            t.in = p->b->padded + image * plane + (y * wide + x0) * SAL_BLOCK;
            t.out = p->b->y + (group * lanes->width * s->n + image) * out +
                    (y * s->h + x0) * SAL_BLOCK;
            t.soon = next && nth < 2 ? next + nth * SAL_BLOCK : NULL;
            nth++;
            lanes->tile(&t, rows, (int)(x1 - x0), width);
        }
        y += rows;
    }
}

static void plain_job(void *context, int job, int worker)
{
    (void)worker;
    const struct plain *p = context;
    const struct shape *s = &p->b->shape;
    const int64_t groups =
        (sal_blocks(s->k) + sal_lanes()->width - 1) / sal_lanes()->width;
    if (p->by_group) {
        plain_rows(p, job % s->n, job / s->n, 0, s->h);
        return;
    }
    const int64_t y0 = job % p->parts * p->rows;
    for (int64_t group = 0; group < groups; group++)
        plain_rows(p, job / p->parts, group, y0,
                   y0 + p->rows < s->h ? y0 + p->rows : s->h);
}

static void plain(const struct bench *b, const sal_real *w)
{
    const struct shape *s = &b->shape;
    const int64_t groups =
        (sal_blocks(s->k) + sal_lanes()->width - 1) / sal_lanes()->width;
    struct plain p = {.b = b, .w = w};
    int64_t most = 500 * 1024 / (s->c * (s->h + 2) * (int64_t)sizeof(sal_real));
    p.by_group = s->h <= 14 && groups > 1;
    p.rows = most < 2 ? 2 : most > s->h / 2 ? (s->h + 1) / 2 : most;
    p.parts = (s->h + p.rows - 1) / p.rows;
    sal_pool_run(b->pool, (int)(s->n * (p.by_group ? groups : p.parts)), plain_job, &p);
}

/* ---- turns -------------------------------------------------------------------- */

static void prepare(const struct bench *b, struct variant *v)
{
    const struct sal_winograd g = winograd_of(&b->shape, v->tile);
    if (v->skipped)
        return;
    v->size = v->tile
                  ? sal_winograd_packed(&g)
                  : (size_t)(sal_blocks(b->shape.c) * sal_blocks(b->shape.k) * 9 * 256);
    sal_real *w = numbers((size_t)(b->shape.c * b->shape.k * 9));
    v->copies = b->warm ? 1 : (int)(COLD / (v->size * sizeof(*w)) + 1);
    if (v->copies > COPIES_MAX)
        v->copies = COPIES_MAX;
    for (int i = 0; i < v->copies; i++) {
        v->copy[i] = v->tile ? reals(v->size) : numbers(v->size);
        if (v->tile && i == 0)
            sal_winograd_pack(&g, w, NULL, false, v->copy[i], b->pool);
        else if (v->tile)
            memcpy(v->copy[i], v->copy[0], v->size * sizeof(*w));
    }
    free(w);
    v->best = 1e9;
}

static void take_turn(const struct bench *b, struct variant *v)
{
    if (v->skipped)
        return;
    const sal_real *w = v->copy[v->turn++ % v->copies];
    const struct sal_winograd g = winograd_of(&b->shape, v->tile);
    const clockid_t clock =
        sal_pool_threads(b->pool) > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    const double begin = now(clock);
    if (v->tile)
        sal_winograd_run(
            &g, &(struct sal_source){.x = b->x}, w,
            &(struct sal_target){
                .base = b->base, .low = 0, .high = SAL_INFINITY, .y = b->y},
            b->pool, b->scratch, sal_winograd_scratch(&g, sal_pool_threads(b->pool)));
    else
        plain(b, w);
    const double took = now(clock) - begin;
    v->best = took < v->best ? took : v->best;
}

static size_t scratch_of(const struct shape *s, int threads)
{
    const struct sal_winograd two = winograd_of(s, 2), four = winograd_of(s, 4);
    const size_t a = sal_winograd_scratch(&two, threads);
    const size_t b = sal_winograd_scratch(&four, threads);
    return (a > b ? a : b) * (size_t)threads;
}

static void measure(struct sal_pool *pool, const struct shape *s, double seconds,
                    bool warm, const char *only)
{
    struct variant all[] = {
        {.name = "plain"}, {.name = "F2", .tile = 2}, {.name = "F4", .tile = 4}};
    enum { N = sizeof(all) / sizeof(*all) };
    const size_t cb = (size_t)sal_blocks(s->c), kb = (size_t)sal_blocks(s->k);
    const size_t plane = (size_t)(s->n * s->h * s->h),
                 wide = (size_t)((s->h + 2) * (s->h + 2));
    sal_real *x = numbers(cb * plane * SAL_BLOCK), *y = reals(kb * plane * SAL_BLOCK);
    sal_real *padded = numbers(cb * (size_t)s->n * wide * SAL_BLOCK);
    sal_real *base = numbers(kb * SAL_BLOCK);
    struct bench b = {.shape = *s,
                      .pool = pool,
                      .x = x,
                      .padded = padded,
                      .base = base,
                      .y = y,
                      .scratch = reals(scratch_of(s, sal_pool_threads(pool))),
                      .warm = warm};
    for (int i = 0; i < N; i++)
        all[i].skipped = only && strcmp(only, all[i].name) != 0;
    for (int i = 0; i < N; i++)
        prepare(&b, &all[i]);
    for (const double end = now(CLOCK_MONOTONIC) + seconds; now(CLOCK_MONOTONIC) < end;)
        for (int i = 0; i < N; i++)
            take_turn(&b, &all[i]);
    const double work = 18.0 * (double)(s->c * s->k) * (double)plane;
    printf("%4lld -> %4lld @%3lld x%lld ", (long long)s->c, (long long)s->k,
           (long long)s->h, (long long)s->n);
    for (int i = 0; i < N; i++)
        if (!all[i].skipped)
            printf("  %s %8.3f ms %6.1f", all[i].name, all[i].best * 1e3,
                   work / all[i].best / 1e9);
    printf("\n");
    fflush(stdout);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < all[i].copies; j++)
            free(all[i].copy[j]);
    free(x);
    free(y);
    free(padded);
    free(base);
    free(b.scratch);
}

/* One job for each thread, which waits until all have one: stays on a processor of its
 * own from now on, whatever else runs on the machine. */
static void pin(void *context, int job, int worker)
{
    (void)job;
    atomic_int *waiting = context;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)worker, &set);
    sched_setaffinity(0, sizeof(set), &set);
    atomic_fetch_sub(waiting, 1);
    while (atomic_load(waiting) > 0)
        sched_yield();
}

static const struct shape shapes[] = {
    {64, 64, 56, 1},   {128, 128, 28, 1},  {256, 256, 14, 1}, {512, 512, 7, 1},
    {64, 64, 224, 1},  {128, 128, 112, 1}, {256, 256, 56, 1}, {512, 512, 28, 1},
    {512, 512, 14, 1}, {128, 32, 56, 1},   {128, 32, 28, 1},  {128, 32, 14, 1},
    {128, 32, 7, 1},   {64, 64, 56, 8},    {128, 128, 28, 8}, {256, 256, 14, 8},
    {512, 512, 7, 8},  {128, 128, 112, 8}, {256, 256, 56, 8}, {512, 512, 28, 8},
    {512, 512, 14, 8}, {128, 32, 56, 8},   {128, 32, 28, 8},  {128, 32, 14, 8},
    {128, 32, 7, 8},
};

static void choose_table(int i)
{
    int n;
    const struct sal_lanes *const *tables = sal_lanes_all(&n);
    if (i < 0 || i >= n || !sal_lanes_supported(tables[i])) {
        fprintf(stderr, "convolutions: no table %d here\n", i);
        exit(2);
    }
    sal_lanes_use(tables[i]);
}

int main(int argc, char **argv)
{
    int threads = 1, option;
    double seconds = 1;
    bool warm = false;
    const char *only = NULL;
    while ((option = getopt(argc, argv, "t:s:wv:k:")) != -1)
        switch (option) {
        case 't':
            threads = atoi(optarg);
            break;
        case 's':
            seconds = atof(optarg);
            break;
        case 'w':
            warm = true;
            break;
        case 'k':
            choose_table(atoi(optarg));
            break;
        case 'v':
            only = optarg;
            break;
        default:
            return 2;
        }
    struct sal_pool *pool = NULL;
    struct sal_error err = {0};
    if (sal_pool_open(&pool, threads, &err)) {
        fprintf(stderr, "convolutions: %s\n", err.text);
        return 1;
    }
    atomic_int waiting = threads;
    if (threads > 1)
        sal_pool_run(pool, threads, pin, &waiting);
    printf("%s, %d threads\n", sal_lanes()->name, threads);
    for (size_t i = 0; optind == argc && i < sizeof(shapes) / sizeof(*shapes); i++)
        measure(pool, &shapes[i], seconds, warm, only);
    for (; optind < argc; optind++) {
        long long c, k, h, n;
        if (sscanf(argv[optind], "%lldx%lld@%lldx%lld", &c, &k, &h, &n) != 4)
            return 2;
        measure(pool, &(struct shape){c, k, h, n}, seconds, warm, only);
    }
    sal_pool_close(pool);
    return 0;
}
