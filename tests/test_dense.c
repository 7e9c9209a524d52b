/* Dense convolutions on blocked activations, against a naive one in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "dense.h"
#include "random.h"
#include "real.h"
#include "saliscope/pool.h"

enum { SHAPES = 250 };

static uint64_t state = 1;

static int64_t draw(int64_t from, int64_t to)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return from + (int64_t)((state >> 33) % (uint64_t)(to - from + 1));
}

static float number(void)
{
    return (float)draw(-1000, 1000) / 1000;
}

static float *numbers(int64_t n)
{
    float *x = malloc(sizeof(*x) * (size_t)(n + 1));
    for (int64_t i = 0; i < n; i++)
        x[i] = number();
    return x;
}

static float *zeros(int64_t n)
{
    return calloc((size_t)(n + 1), sizeof(float));
}

/* ---- layouts ------------------------------------------------------------------- */

static int64_t blocked_count(int64_t n, int64_t c, const int64_t hw[2])
{
    return sal_blocks(c) * n * hw[0] * hw[1] * SAL_BLOCK;
}

static int64_t blocked_at(int64_t n, const int64_t hw[2], int64_t image, int64_t c, int64_t y,
                          int64_t x)
{
    return ((((c / SAL_BLOCK) * n + image) * hw[0] + y) * hw[1] + x) * SAL_BLOCK +
           c % SAL_BLOCK;
}

static int64_t plain_at(int64_t channels, const int64_t hw[2], int64_t image, int64_t c,
                        int64_t y, int64_t x)
{
    return ((image * channels + c) * hw[0] + y) * hw[1] + x;
}

/* ---- geometries ------------------------------------------------------------------ */

static struct sal_conv_geometry geometry(bool planar)
{
    for (;;) {
        struct sal_conv_geometry g = {.n = draw(1, 3), .group = planar ? 1 : draw(0, 3)};
        g.group = g.group < 1 ? 1 : g.group;
        g.c = g.group * draw(1, planar ? 4 : 40);
        g.k = g.group * draw(1, 50);
        bool fits = true;
        for (int i = 0; i < 2; i++) {
            g.in[i] = draw(1, 20);
            g.kernel[i] = draw(0, 2) ? draw(1, 4) : 1;
            g.stride[i] = draw(0, 2) ? 1 : draw(1, 3);
            g.dilation[i] = draw(0, 3) ? 1 : 2;
            g.pad[i] = draw(0, 2);
            int64_t reach = (g.kernel[i] - 1) * g.dilation[i] + 1;
            int64_t room = g.in[i] + g.pad[i] + draw(0, 2) - reach;
            fits &= room >= 0;
            g.out[i] = room / g.stride[i] + 1;
        }
        if (fits)
            return g;
    }
}

/* Calls visit for every product in the convolution. */
struct product {
    int64_t image, k, y, x, c, sy, sx, w;
};

static void every_product(const struct sal_conv_geometry *g,
                          void (*visit)(const struct product *p, void *context),
                          void *context)
{
    int64_t cg = g->c / g->group, kg = g->k / g->group;
    struct product p;
    for (p.image = 0; p.image < g->n; p.image++)
        for (p.k = 0; p.k < g->k; p.k++)
            for (p.y = 0; p.y < g->out[0]; p.y++)
                for (p.x = 0; p.x < g->out[1]; p.x++)
                    for (int64_t i = 0; i < cg * g->kernel[0] * g->kernel[1]; i++) {
                        int64_t tx = i % g->kernel[1], ty = i / g->kernel[1] % g->kernel[0];
                        p.c = p.k / kg * cg + i / g->kernel[1] / g->kernel[0];
                        p.sy = p.y * g->stride[0] - g->pad[0] + ty * g->dilation[0];
                        p.sx = p.x * g->stride[1] - g->pad[1] + tx * g->dilation[1];
                        p.w = p.k * cg * g->kernel[0] * g->kernel[1] + i;
                        if (p.sy >= 0 && p.sy < g->in[0] && p.sx >= 0 && p.sx < g->in[1])
                            visit(&p, context);
                    }
}

struct sums {
    const struct sal_conv_geometry *g;
    const float *x, *w, *scale;
    const struct sal_source *dy;
    double *sum, *size; /* of the terms, for the tolerance */
    bool planar;
};

static int64_t in_at(const struct sums *s, const struct product *p)
{
    return s->planar ? plain_at(s->g->c, s->g->in, p->image, p->c, p->sy, p->sx)
                     : blocked_at(s->g->n, s->g->in, p->image, p->c, p->sy, p->sx);
}

static void add_forward(const struct product *p, void *context)
{
    struct sums *s = context;
    int64_t to = blocked_at(s->g->n, s->g->out, p->image, p->k, p->y, p->x);
    double term = (double)s->x[in_at(s, p)] * (double)s->w[p->w] * (double)s->scale[p->k];
    s->sum[to] += term;
    s->size[to] += fabs(term);
}

static float passing(const struct sal_source *s, int64_t i)
{
    return s->bits    ? (s->bits[i / SAL_BLOCK] >> i % SAL_BLOCK & 1 ? s->x[i] : 0)
           : s->slope ? s->x[i] * s->slope[i]
                      : s->x[i];
}

/* All of n elements, some of them, or each times something. */
static struct sal_source source_of(const float *x, int64_t n)
{
    struct sal_source source = {.x = x};
    const int kind = (int)draw(0, 2);
    uint16_t *bits = kind == 1 ? malloc(sizeof(*bits) * (size_t)(n / SAL_BLOCK + 1)) : NULL;
    for (int64_t i = 0; bits && i < n / SAL_BLOCK; i++)
        bits[i] = (uint16_t)draw(0, 0xffff);
    source.bits = bits;
    source.slope = kind == 2 ? numbers(n) : NULL;
    return source;
}

static void release_source(const struct sal_source *source)
{
    free((void *)(uintptr_t)source->bits);
    free((void *)(uintptr_t)source->slope);
}

static void add_backward(const struct product *p, void *context)
{
    struct sums *s = context;
    int64_t from = blocked_at(s->g->n, s->g->out, p->image, p->k, p->y, p->x);
    int64_t to = in_at(s, p);
    double dy = (double)passing(s->dy, from);
    double term = dy * (double)s->w[p->w] * (double)s->scale[p->k];
    s->sum[to] += term;
    s->size[to] += fabs(term);
}

/* ---- comparing ------------------------------------------------------------------- */

static void run(const struct sal_dense *d, const struct sal_source *source,
                const struct sal_dense_before *before, const float *packed, const struct sal_target *target, int threads)
{
    struct sal_pool *pool = NULL;
    assert_int_equal(sal_pool_open(&pool, threads, NULL), SAL_OK);
    size_t stride = sal_dense_scratch(d, before);
    float *scratch = zeros((int64_t)stride * threads);
    sal_dense_run(d, source, before, packed, target, pool, scratch, stride);
    free(scratch);
    sal_pool_close(pool);
}

static float *pack(const struct sal_dense *d, const float *w, const float *scale)
{
    float *packed = numbers((int64_t)d->packed); /* zeros are not taken for granted */
    int64_t n = d->g.k * (d->g.c / d->g.group) * d->g.kernel[0] * d->g.kernel[1];
    char *loose = malloc(sizeof(*w) * (size_t)n + 1); /* at an odd address, as in files */
    assert_non_null(loose);
    memcpy(loose + 1, w, sizeof(*w) * (size_t)n);
    sal_dense_pack(d, (const sal_loose *)(const void *)(loose + 1), scale, packed, NULL);
    free(loose);
    return packed;
}

static void same_bits(const float *a, const float *b, int64_t n)
{
    assert_memory_equal(a, b, sizeof(*a) * (size_t)n);
}

static void is_near(const struct sal_conv_geometry *g, double want, double size, float got)
{
    double room = 2e-7 * (size + fabs(want) + 1) * 8;
    if (!(fabs(want - (double)got) <= room))
        fail_msg("n %lld c %lld k %lld group %lld in %lldx%lld kernel %lldx%lld stride "
                 "%lld,%lld dilation %lld,%lld pad %lld,%lld: %g, want %g",
                 (long long)g->n, (long long)g->c, (long long)g->k, (long long)g->group,
                 (long long)g->in[0], (long long)g->in[1], (long long)g->kernel[0],
                 (long long)g->kernel[1], (long long)g->stride[0], (long long)g->stride[1],
                 (long long)g->dilation[0], (long long)g->dilation[1], (long long)g->pad[0],
                 (long long)g->pad[1], (double)got, want);
}

/* What may be before a convolution; bounds that no sum of millionths meets. */
static struct sal_affine affine_of(int64_t c)
{
    int64_t n = sal_blocks(c) * SAL_BLOCK;
    return (struct sal_affine){numbers(n), numbers(n), -0.3000105f, 0.8000105f};
}

static void release(struct sal_affine *affine)
{
    free((void *)(uintptr_t)affine->scale);
    free((void *)(uintptr_t)affine->shift);
}

/* x through it, in a copy; in double where it matters. */
static float *through_affine(const struct sal_conv_geometry *g, const struct sal_affine *a,
                             const float *x)
{
    float *y = zeros(blocked_count(g->n, g->c, g->in));
    int64_t pixels = g->n * g->in[0] * g->in[1];
    for (int64_t c = 0; c < sal_blocks(g->c) * SAL_BLOCK; c++)
        for (int64_t p = 0; p < pixels; p++) {
            int64_t at = (c / SAL_BLOCK * pixels + p) * SAL_BLOCK + c % SAL_BLOCK;
            float z = fmaf(x[at], a->scale[c], a->shift[c]);
            y[at] = fminf(fmaxf(z, a->low), a->high);
        }
    return y;
}

static void check_forward(const struct sal_conv_geometry *g, bool planar, bool through)
{
    struct sal_arena arena = {0};
    struct sal_dense d;
    assert_int_equal(sal_dense_init(&d, g, planar, false, &arena, NULL), SAL_OK);
    int64_t n_in = planar ? g->n * g->c * g->in[0] * g->in[1] : blocked_count(g->n, g->c, g->in);
    int64_t n = blocked_count(g->n, g->k, g->out), kb = sal_blocks(g->k) * SAL_BLOCK;
    float *x = numbers(n_in), *w = numbers(g->k * (g->c / g->group) * g->kernel[0] * g->kernel[1]);
    float *scale = numbers(g->k), *base = numbers(kb), *add = numbers(n);
    float *y = numbers(n), *y3 = numbers(n), *packed = pack(&d, w, scale);
    struct sal_dense_before before = {.affine = affine_of(g->c)};
    float *z = through ? through_affine(g, &before.affine, x) : NULL;
    struct sums s = {.g = g, .x = z ? z : x, .w = w, .scale = scale, .planar = planar,
                     .sum = calloc((size_t)n + 1, sizeof(double)),
                     .size = calloc((size_t)n + 1, sizeof(double))};
    every_product(g, add_forward, &s);
    struct sal_source source = {.x = x};
    uint16_t *bits = draw(0, 1) ? calloc((size_t)n / SAL_BLOCK + 1, sizeof(*bits)) : NULL;
    struct sal_target target = {.base = base, .add = add, .low = -0.5f, .high = 1.5f, .y = y};
    run(&d, &source, through ? &before : NULL, packed, &target, 1);
    target.y = y3;
    target.saved.bits = bits;
    run(&d, &source, through ? &before : NULL, packed, &target, 3);
    for (int64_t i = 0; i < g->n; i++)
        for (int64_t k = 0; k < g->k; k++)
            for (int64_t p = 0; p < g->out[0] * g->out[1]; p++) {
                int64_t at = blocked_at(g->n, g->out, i, k, p / g->out[1], p % g->out[1]);
                double want = s.sum[at] + (double)base[k] + (double)add[at];
                is_near(g, fmin(fmax(want, -0.5), 1.5), s.size[at], y[at]);
            }
    same_bits(y, y3, n);
    for (int64_t i = 0; bits && i < n; i++)
        assert_int_equal(bits[i / SAL_BLOCK] >> i % SAL_BLOCK & 1, y[i] > -0.5f && y[i] < 1.5f);
    free(bits);
    free(x), free(w), free(scale), free(base), free(add), free(y), free(y3), free(packed);
    free(z), release(&before.affine);
    free(s.sum), free(s.size);
    sal_arena_release(&arena);
}

/* The gradient of the affine at x: its scale where it does not clamp. */
static double slope(const struct sal_affine *a, int64_t c, float x)
{
    double y = fma((double)x, (double)a->scale[c], (double)a->shift[c]);
    return y > (double)a->low && y < (double)a->high ? (double)a->scale[c] : 0;
}

static void check_backward(const struct sal_conv_geometry *g, bool planar, bool through)
{
    struct sal_arena arena = {0};
    struct sal_dense d;
    assert_int_equal(sal_dense_init(&d, g, planar, true, &arena, NULL), SAL_OK);
    int64_t n = planar ? g->n * g->c * g->in[0] * g->in[1] : blocked_count(g->n, g->c, g->in);
    int64_t n_out = blocked_count(g->n, g->k, g->out);
    float *dy = numbers(n_out), *scale = numbers(g->k);
    for (int64_t k = g->k; k < sal_blocks(g->k) * SAL_BLOCK; k++)
        for (int64_t i = 0; i < g->n * g->out[0] * g->out[1]; i++)
            dy[blocked_at(g->n, g->out, 0, k, 0, 0) + i * SAL_BLOCK] = NAN; /* not looked at */
    const struct sal_source source = source_of(dy, n_out);
    float *w = numbers(g->k * (g->c / g->group) * g->kernel[0] * g->kernel[1]);
    float *held = numbers(n), *dx = numbers(n), *dx3 = numbers(n), *x = numbers(n);
    float *packed = pack(&d, w, scale);
    memcpy(dx, held, sizeof(*dx) * (size_t)n);
    memcpy(dx3, held, sizeof(*dx) * (size_t)n);
    struct sal_dense_before before = {affine_of(g->c), x};
    struct sums s = {.g = g, .dy = &source, .w = w, .scale = scale, .planar = planar,
                     .sum = calloc((size_t)n + 1, sizeof(double)),
                     .size = calloc((size_t)n + 1, sizeof(double))};
    every_product(g, add_backward, &s);
    struct sal_target target = {.add = dx, .low = -INFINITY, .high = INFINITY, .y = dx};
    run(&d, &source, through ? &before : NULL, packed, &target, 1);
    target.add = target.y = dx3;
    run(&d, &source, through ? &before : NULL, packed, &target, 3);
    for (int64_t i = 0; i < g->n; i++)
        for (int64_t c = 0; c < g->c; c++)
            for (int64_t p = 0; p < g->in[0] * g->in[1]; p++) {
                int64_t row = p / g->in[1], column = p % g->in[1];
                int64_t at = planar ? plain_at(g->c, g->in, i, c, row, column)
                                    : blocked_at(g->n, g->in, i, c, row, column);
                double by = through ? slope(&before.affine, c, x[at]) : 1;
                is_near(g, s.sum[at] * by + (double)held[at], s.size[at], dx[at]);
            }
    same_bits(dx, dx3, n);
    free(dy), release_source(&source), free(scale), free(w), free(held), free(dx), free(dx3), free(packed);
    free(x), release(&before.affine);
    free(s.sum), free(s.size);
    sal_arena_release(&arena);
}

/* ---- tests ----------------------------------------------------------------------- */

struct repeated {
    void (*check)(void);
};

static void repeat(void *context)
{
    for (int j = 0; j < test_some(SHAPES); j++)
        ((const struct repeated *)context)->check();
}

static void with_every_table(void (*check)(void))
{
    block_each_table(repeat, &(struct repeated){check});
}

static void forward_once(void)
{
    struct sal_conv_geometry g = geometry(false);
    check_forward(&g, false, draw(0, 1));
}

static void planar_forward_once(void)
{
    struct sal_conv_geometry g = geometry(true);
    check_forward(&g, true, false);
}

static void backward_once(void)
{
    struct sal_conv_geometry g = geometry(false);
    check_backward(&g, false, draw(0, 1));
}

static void planar_backward_once(void)
{
    struct sal_conv_geometry g = geometry(true);
    check_backward(&g, true, false);
}

static void forward_is_the_naive_convolution(void **unused)
{
    (void)unused;
    with_every_table(forward_once);
}

static void forward_of_an_image_is_the_naive_convolution(void **unused)
{
    (void)unused;
    with_every_table(planar_forward_once);
}

static void backward_is_the_naive_transpose(void **unused)
{
    (void)unused;
    with_every_table(backward_once);
}

static void backward_to_an_image_is_the_naive_transpose(void **unused)
{
    (void)unused;
    with_every_table(planar_backward_once);
}

static void passing_once(void)
{
    enum { PIXELS = 5, N = PIXELS * SAL_BLOCK };
    float *x = numbers(N), *to = numbers(N), *held = numbers(N);
    const struct sal_source from = source_of(x, N);
    memcpy(held, to, sizeof(*to) * N);
    sal_lanes()->add_passed(to, &from, PIXELS);
    for (int i = 0; i < N; i++) /* may be fused */
        assert_true(fabsf(to[i] - (held[i] + passing(&from, i))) <= 2e-7f);
    sal_lanes()->pass(to, &from, PIXELS);
    for (int i = 0; i < N; i++)
        assert_true(to[i] == passing(&from, i));
    free(x), free(to), free(held), release_source(&from);
}

static void what_passes_an_activation_is_added(void **unused)
{
    (void)unused;
    with_every_table(passing_once);
}

static void marks_once(void)
{
    enum { PIXELS = 5, N = PIXELS * SAL_BLOCK };
    float *y = numbers(N);
    uint16_t bits[PIXELS];
    for (int i = 0; i < N; i += 3)
        y[i] = i % 2 ? 0.5f : i % 4 ? -0.25f : NAN; /* at the bounds nothing passes */
    sal_lanes()->mark(bits, y, PIXELS, -0.25f, 0.5f);
    for (int i = 0; i < N; i++)
        assert_int_equal(bits[i / SAL_BLOCK] >> i % SAL_BLOCK & 1, y[i] > -0.25f && y[i] < 0.5f);
    free(y);
}

static void bits_are_set_strictly_between_the_bounds(void **unused)
{
    (void)unused;
    with_every_table(marks_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_an_activation_is_added),
        cmocka_unit_test(bits_are_set_strictly_between_the_bounds),
        cmocka_unit_test(forward_is_the_naive_convolution),
        cmocka_unit_test(forward_of_an_image_is_the_naive_convolution),
        cmocka_unit_test(backward_is_the_naive_transpose),
        cmocka_unit_test(backward_to_an_image_is_the_naive_transpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
