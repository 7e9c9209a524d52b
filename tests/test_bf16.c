/* Weighed sums in bf16: against naive ones in double on rounded numbers, the same bits
 * for any threads and batch, refused where they cannot be, and their error told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bf16.h"
#include "probes.h"
#include "random.h"
#include "saliscope/explain.h"
#include "saliscope/pool.h"

enum { SHAPES = 150 };

#define MODEL "samples/models/phantom.onnx"

static uint64_t state = 1;

static int64_t draw(int64_t from, int64_t to)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return from + (int64_t)((state >> 33) % (uint64_t)(to - from + 1));
}

static float *numbers(int64_t n)
{
    float *x = malloc(sizeof(*x) * (size_t)(n + 1));
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)draw(-1000, 1000) / 1000;
    return x;
}

/* The processor may lack it, and then there is nothing to hold against anything. */
static void needs_bf16(void)
{
    if (sal_lanes_bf16(sal_lanes()))
        return;
    print_message("skipped: this processor has no AVX512_BF16\n");
    skip();
}

static double rounded(float x)
{
    uint32_t bits = (uint32_t)sal_bf16_of(x) << 16;
    float y;
    memcpy(&y, &bits, sizeof(y));
    return (double)y;
}

/* ---- rounding ------------------------------------------------------------------ */

static void rounding_is_to_nearest_and_ties_to_even(void **s)
{
    (void)s;
    assert_int_equal(sal_bf16_of(1.0f), 0x3f80);
    assert_int_equal(sal_bf16_of(0x1.01p0f), 0x3f80); /* half way: down to even */
    assert_int_equal(sal_bf16_of(0x1.03p0f), 0x3f82); /* half way: up to even */
    assert_int_equal(sal_bf16_of(0x1.010002p0f), 0x3f81);
    assert_int_equal(sal_bf16_of(-0x1.03p0f), 0xbf82);
    assert_int_equal(sal_bf16_of(INFINITY), 0x7f80);
    assert_int_equal(sal_bf16_of(0x1.fffffep127f), 0x7f80);
    assert_true(isnan(rounded(NAN)));
}

static void activations_are_rounded_like_weights(void **s)
{
    (void)s;
    needs_bf16();
    for (int round = 0; round < 2000; round++) {
        float x[3 * SAL_BLOCK], pairs[2 * SAL_BLOCK];
        for (int i = 0; i < 3 * SAL_BLOCK; i++) {
            uint32_t bits =
                (uint32_t)draw(0x00800000, 0x7f7fffff) | (uint32_t)draw(0, 1) << 31;
            memcpy(&x[i], &bits, sizeof(bits));
        }
        sal_lanes()->to_bf16(pairs, SAL_BLOCK, x, 2 * SAL_BLOCK, 2);
        for (int i = 0; i < 2 * SAL_BLOCK; i++) {
            uint16_t got;
            int at = i / SAL_BLOCK * SAL_BLOCK * 2 + i % SAL_BLOCK;
            memcpy(&got, (char *)pairs + i / SAL_BLOCK * 64 + i % SAL_BLOCK * 2,
                   sizeof(got));
            assert_int_equal(got, sal_bf16_of(x[at]));
        }
    }
}

/* ---- convolutions -------------------------------------------------------------- */

static struct sal_conv_geometry geometry(void)
{
    for (;;) {
        struct sal_conv_geometry g = {.n = draw(1, 3),
                                      .group = draw(0, 3) ? 1 : draw(2, 3)};
        g.c = g.group * draw(1, 40);
        g.k = g.group * draw(1, 50);
        bool fits = true, pointwise = !draw(0, 2);
        for (int i = 0; i < 2; i++) {
            g.in[i] = draw(1, 20);
            g.kernel[i] = pointwise ? 1 : draw(1, 4);
            g.stride[i] = pointwise || draw(0, 2) ? 1 : draw(1, 3);
            g.dilation[i] = draw(0, 3) ? 1 : 2;
            g.pad[i] = pointwise ? 0 : draw(0, 2);
            int64_t reach = (g.kernel[i] - 1) * g.dilation[i] + 1;
            int64_t room = g.in[i] + (pointwise ? 0 : g.pad[i] + draw(0, 2)) - reach;
            fits &= room >= 0;
            g.out[i] = room / g.stride[i] + 1;
        }
        if (fits)
            return g;
    }
}

struct layer {
    struct sal_conv_geometry g;
    float *x, *w, *scale, *base, *add;
    struct sal_affine affine; /* scale NULL: nothing is before */
};

static int64_t in_count(const struct sal_conv_geometry *g, int64_t n)
{
    return sal_blocks(g->c) * n * g->in[0] * g->in[1] * SAL_BLOCK;
}

static int64_t out_count(const struct sal_conv_geometry *g, int64_t n)
{
    return sal_blocks(g->k) * n * g->out[0] * g->out[1] * SAL_BLOCK;
}

/* Powers of two: their products are exact, so that it does not matter whether a build
 * rounds them before it adds. */
static float *powers(int64_t n)
{
    float *x = numbers(n);
    for (int64_t i = 0; i < n; i++)
        x[i] = ldexpf(draw(0, 1) ? 1 : -1, (int)draw(-2, 1));
    return x;
}

static struct layer layer_of(struct sal_conv_geometry g, bool before)
{
    int64_t cb = sal_blocks(g.c) * SAL_BLOCK;
    struct layer l = {.g = g};
    l.x = numbers(in_count(&g, g.n));
    l.w = numbers(g.k * (g.c / g.group) * g.kernel[0] * g.kernel[1]);
    l.scale = numbers(g.k);
    l.base = numbers(sal_blocks(g.k) * SAL_BLOCK);
    l.add = numbers(out_count(&g, g.n));
    if (before)
        l.affine = (struct sal_affine){powers(cb), numbers(cb), -0.25f, 0.75f};
    return l;
}

static void release(struct layer *l)
{
    free(l->x), free(l->w), free(l->scale), free(l->base), free(l->add);
    free((void *)(uintptr_t)l->affine.scale);
    free((void *)(uintptr_t)l->affine.shift);
}

/* Output in blocks; free it. */
static float *convolve(const struct layer *l, int threads)
{
    struct sal_arena arena = {0};
    struct sal_dense d;
    struct sal_pool *pool = NULL;
    assert_int_equal(sal_pool_open(&pool, threads, NULL), SAL_OK);
    assert_int_equal(sal_dense_init_bf16(&d, &l->g, &arena, NULL), SAL_OK);
    struct sal_dense_before before = {.affine = l->affine};
    bool through = l->affine.scale;
    size_t stride = sal_dense_scratch(&d, through);
    float *packed = numbers((int64_t)d.packed),
          *scratch = numbers((int64_t)stride * threads);
    float *y = numbers(out_count(&l->g, l->g.n));
    sal_dense_pack_bf16(&d, l->w, l->scale, packed, pool);
    struct sal_source source = {.x = l->x};
    struct sal_target target = {
        .base = l->base, .add = l->add, .low = -0.5f, .high = 1.5f, .y = y};
    sal_dense_run(&d, &source, through ? &before : NULL, packed, &target, pool, scratch,
                  stride);
    free(packed), free(scratch);
    sal_pool_close(pool);
    sal_arena_release(&arena);
    return y;
}

/* What is read of input channel c at a place in the image; 0 outside. */
static double source_at(const struct layer *l, int64_t image, int64_t c, int64_t y,
                        int64_t x)
{
    const struct sal_conv_geometry *g = &l->g;
    if (y < 0 || y >= g->in[0] || x < 0 || x >= g->in[1])
        return 0;
    int64_t pixel = ((c / SAL_BLOCK * g->n + image) * g->in[0] + y) * g->in[1] + x;
    float value = l->x[pixel * SAL_BLOCK + c % SAL_BLOCK];
    if (l->affine.scale)
        value = fminf(
            fmaxf(fmaf(value, l->affine.scale[c], l->affine.shift[c]), l->affine.low),
            l->affine.high);
    return rounded(value);
}

static double right_at(const struct layer *l, int64_t image, int64_t k, int64_t y,
                       int64_t x, double *size)
{
    const struct sal_conv_geometry *g = &l->g;
    int64_t cg = g->c / g->group, first = k / (g->k / g->group) * cg;
    const float *w = l->w + k * cg * g->kernel[0] * g->kernel[1];
    double sum = *size = 0;
    for (int64_t c = first; c < first + cg; c++)
        for (int64_t i = 0; i < g->kernel[0]; i++)
            for (int64_t j = 0; j < g->kernel[1]; j++) {
                double term =
                    rounded(*w++ * l->scale[k]) *
                    source_at(l, image, c,
                              y * g->stride[0] - g->pad[0] + i * g->dilation[0],
                              x * g->stride[1] - g->pad[1] + j * g->dilation[1]);
                sum += term;
                *size += fabs(term);
            }
    return sum;
}

static void check(const struct layer *l)
{
    const struct sal_conv_geometry *g = &l->g;
    float *got = convolve(l, 1), *three = convolve(l, 3);
    assert_memory_equal(got, three, sizeof(*got) * (size_t)out_count(g, g->n));
    for (int64_t image = 0; image < g->n; image++)
        for (int64_t k = 0; k < g->k; k++)
            for (int64_t p = 0; p < g->out[0] * g->out[1]; p++) {
                double size,
                    sum = right_at(l, image, k, p / g->out[1], p % g->out[1], &size);
                int64_t pixels = g->out[0] * g->out[1];
                int64_t at = ((k / SAL_BLOCK * g->n + image) * pixels + p) * SAL_BLOCK +
                             k % SAL_BLOCK;
                sum += (double)l->base[k] + (double)l->add[at];
                double want = fmin(fmax(sum, -0.5), 1.5);
                if (!(fabs((double)got[at] - want) <= 2e-6 * (size + 2)))
                    fail_msg("c %d k %d group %d kernel %dx%d stride %d,%d: %g, not %g",
                             (int)g->c, (int)g->k, (int)g->group, (int)g->kernel[0],
                             (int)g->kernel[1], (int)g->stride[0], (int)g->stride[1],
                             (double)got[at], want);
            }
    free(got), free(three);
}

static void convolutions_sum_what_is_rounded(void **s)
{
    (void)s;
    needs_bf16();
    for (int i = 0; i < test_some(SHAPES); i++) {
        struct layer l = layer_of(geometry(), i % 3 == 0);
        check(&l);
        release(&l);
    }
}

/* ---- linear layers ------------------------------------------------------------- */

static void check_linear(int64_t rows, int64_t c, int64_t k, bool turned)
{
    float *w = numbers(c * k), *x = numbers(rows * c),
          *base = numbers(sal_blocks(k) * SAL_BLOCK);
    float *packed = numbers((int64_t)sal_linear_packed_bf16(c, k)), *y[2];
    struct sal_linear_weights weights = {
        .c = c, .k = k, .w = w, .c_step = turned ? 1 : k, .k_step = turned ? c : 1};
    size_t each = sal_linear_scratch(rows, c);
    for (int threads = 1; threads <= 2; threads++) {
        struct sal_pool *pool;
        assert_int_equal(sal_pool_open(&pool, threads, NULL), SAL_OK);
        float *scratch = numbers((int64_t)each * threads);
        sal_linear_pack_bf16(&weights, packed, pool);
        y[threads - 1] = numbers(rows * k);
        struct sal_linear linear = {.rows = rows,
                                    .c = c,
                                    .k = k,
                                    .x = x,
                                    .packed = packed,
                                    .base = base,
                                    .y = y[threads - 1],
                                    .bf16 = true};
        sal_linear_run(&linear, pool, scratch, each);
        free(scratch);
        sal_pool_close(pool);
    }
    assert_memory_equal(y[0], y[1], sizeof(float) * (size_t)(rows * k));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < k; o++) {
            double sum = (double)base[o], size = fabs(sum);
            for (int64_t i = 0; i < c; i++) {
                double term = rounded(x[r * c + i]) *
                              rounded(w[i * weights.c_step + o * weights.k_step]);
                sum += term;
                size += fabs(term);
            }
            if (!(fabs(sum - (double)y[0][r * k + o]) <= 1e-6 * (size + 1)))
                fail_msg("%d x %d x %d: %g, not %g", (int)rows, (int)c, (int)k,
                         (double)y[0][r * k + o], sum);
        }
    free(w), free(x), free(base), free(packed), free(y[0]), free(y[1]);
}

static void linear_layers_sum_what_is_rounded(void **s)
{
    (void)s;
    needs_bf16();
    for (int i = 0; i < test_some(SHAPES); i++)
        check_linear(draw(1, 60), draw(1, 90), draw(1, 90), i % 2);
}

/* ---- whole models -------------------------------------------------------------- */

struct fixture {
    struct sal_pool *pool;
    struct sal_model *model;
    int64_t n_x;
    float *x; /* three images */
};

static void open_fixture(struct fixture *f, int threads)
{
    struct sal_error err = {0};
    assert_int_equal(sal_pool_open(&f->pool, threads, &err), SAL_OK);
    struct sal_model_options options = {.pool = f->pool};
    if (sal_model_open(&f->model, MODEL, &options, &err))
        fail_msg("%s", err.text);
    const struct sal_model_input *input = sal_model_input(f->model);
    f->n_x = (int64_t)input->channels * input->height * input->width;
    f->x = malloc(sizeof(float) * (size_t)f->n_x * 3);
    for (int64_t i = 0; i < 3 * f->n_x; i++)
        f->x[i] = sinf(0.03f * (float)(i % 977) + (float)(i / f->n_x));
}

static void close_fixture(struct fixture *f)
{
    sal_model_close(f->model);
    sal_pool_close(f->pool);
    free(f->x);
}

/* Logits of `batch` images from number `first` on; free them. */
static float *logits(const struct fixture *f, int first, int batch,
                     enum sal_precision precision)
{
    struct sal_run_options options = {
        .batch = batch, .precision = precision, .pool = f->pool};
    struct sal_run *run;
    struct sal_error err = {0};
    if (sal_run_open(&run, f->model, &options, &err) ||
        sal_run_forward(run, f->x + first * f->n_x, NULL, &err))
        fail_msg("%s", err.text);
    int n = sal_model_output(f->model)->n * batch;
    float *y = malloc(sizeof(*y) * (size_t)n);
    memcpy(y, sal_run_value(run, sal_model_output(f->model)->value, NULL),
           sizeof(*y) * (size_t)n);
    sal_run_close(run);
    return y;
}

static void a_model_in_bf16_is_near_but_not_the_same(void **s)
{
    (void)s;
    needs_bf16();
    struct fixture f;
    open_fixture(&f, 1);
    float *wide = logits(&f, 0, 1, SAL_F32), *narrow = logits(&f, 0, 1, SAL_BF16);
    int n = sal_model_output(f.model)->n;
    double most = 0, size = 0;
    for (int i = 0; i < n; i++) {
        most = fmax(most, fabs((double)wide[i] - (double)narrow[i]));
        size = fmax(size, fabs((double)wide[i]));
    }
    assert_true(most > 0 && most < 0.02 * size);
    free(wide), free(narrow);
    close_fixture(&f);
}

static void bits_depend_on_neither_batch_nor_threads(void **s)
{
    (void)s;
    needs_bf16();
    struct fixture one, two;
    open_fixture(&one, 1);
    open_fixture(&two, 2);
    size_t n = (size_t)sal_model_output(one.model)->n;
    float *all = logits(&two, 0, 3, SAL_BF16);
    for (int i = 0; i < 3; i++) {
        float *alone = logits(&one, i, 1, SAL_BF16);
        assert_memory_equal(alone, all + (size_t)i * n, n * sizeof(*all));
        free(alone);
    }
    free(all);
    close_fixture(&one);
    close_fixture(&two);
}

static void what_cannot_be_in_bf16_is_refused(void **s)
{
    (void)s;
    struct fixture f;
    struct sal_error err;
    struct sal_run *run;
    open_fixture(&f, 1);
    struct sal_run_options options = {.precision = SAL_BF16, .gradient = true};
    assert_int_equal(sal_run_open(&run, f.model, &options, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "gradients"));
    int n;
    sal_lanes_use(sal_lanes_all(&n)[0]);
    options.gradient = false;
    assert_int_equal(sal_run_open(&run, f.model, &options, &err), SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "AVX512_BF16"));
    sal_lanes_use(NULL);
    struct sal_question question = {
        .model = f.model, .x = f.x, .layer = -1, .precision = SAL_BF16, .pool = f.pool};
    struct sal_map map;
    for (int i = 0; sal_methods[i]; i++)
        if (!(sal_methods[i]->needs & SAL_SWEEPS)) {
            assert_int_equal(sal_explain(sal_methods[i], &question, &map, &err),
                             SAL_USAGE);
            assert_non_null(strstr(err.text, "occlusion"));
        }
    close_fixture(&f);
}

/* ---- maps ---------------------------------------------------------------------- */

static void explain(const struct fixture *f, const char *name, const char *param,
                    enum sal_precision precision, int batch, struct sal_map *map)
{
    const struct sal_method *method = sal_method_find(name);
    struct sal_params params;
    sal_params_init(&params, method->params);
    assert_true(!param || !sal_params_set(&params, method->params, param, name, NULL));
    struct sal_question question = {.model = f->model,
                                    .x = f->x,
                                    .layer = -1,
                                    .params = &params,
                                    .precision = precision,
                                    .batch = batch,
                                    .pool = f->pool};
    struct sal_error err;
    if (sal_explain(method, &question, map, &err))
        fail_msg("%s", err.text);
}

static double check_of(const struct sal_map *map, const char *name)
{
    for (int i = 0; i < map->n_checks; i++)
        if (strcmp(map->checks[i].name, name) == 0)
            return map->checks[i].value;
    return (double)NAN;
}

/* What is told is near what a map in f32 shows. Errors that go with single superpixels do
 * not mix as those that are drawn do: of LIME it may be too little by a factor. */
static void maps_say_how_far_they_are_from_f32(void **s)
{
    (void)s;
    needs_bf16();
    static const char *const methods[][2] = {{"occlusion", NULL},
                                             {"scorecam", NULL},
                                             {"rise", "masks=150"},
                                             {"rise", "normalise=coverage"},
                                             {"kernelshap", "samples=150"},
                                             {"lime", "samples=150"}};
    struct fixture f;
    open_fixture(&f, 2);
    for (size_t m = 0; m < sizeof(methods) / sizeof(*methods); m++) {
        struct sal_map wide, narrow, other;
        explain(&f, methods[m][0], methods[m][1], SAL_F32, 0, &wide);
        explain(&f, methods[m][0], methods[m][1], SAL_BF16, 0, &narrow);
        explain(&f, methods[m][0], methods[m][1], SAL_BF16, 3, &other);
        size_t n = (size_t)wide.width * (size_t)wide.height;
        double most = 0, low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            most = fmax(most, fabs((double)wide.values[i] - (double)narrow.values[i]));
            low = fmin(low, (double)wide.values[i]);
            high = fmax(high, (double)wide.values[i]);
        }
        double told = check_of(&narrow, "bf16_map_error_percent") / 100 * (high - low);
        print_message("%s: told %.3g, is %.3g\n", methods[m][0], told, most);
        assert_true(told > most / 6 && told < most * 4);
        assert_true(check_of(&narrow, "bf16_score_error") > 0);
        assert_true(isnan(check_of(&wide, "bf16_score_error")));
        assert_int_equal(wide.precision, SAL_F32);
        assert_int_equal(narrow.precision, SAL_BF16);
        assert_true(narrow.score == wide.score);
        assert_memory_equal(narrow.values, other.values, n * sizeof(float));
        sal_map_release(&wide), sal_map_release(&narrow), sal_map_release(&other);
    }
    close_fixture(&f);
}

static void *stop_soon(void *argument)
{
    struct sal_job *job = argument;
    while (atomic_load(&job->done) < 3)
        sched_yield();
    sal_job_cancel(job);
    return NULL;
}

static void a_part_says_it_too(void **s)
{
    (void)s;
    needs_bf16();
    struct fixture f;
    open_fixture(&f, 1);
    const struct sal_method *method = sal_method_find("occlusion");
    struct sal_params params;
    struct sal_error err;
    sal_params_init(&params, method->params);
    assert_int_equal(
        sal_params_set(&params, method->params, "window=3", "occlusion", &err), SAL_OK);
    assert_int_equal(
        sal_params_set(&params, method->params, "stride=1", "occlusion", &err), SAL_OK);
    struct sal_job job = {0};
    struct sal_question question = {.model = f.model,
                                    .x = f.x,
                                    .layer = -1,
                                    .params = &params,
                                    .precision = SAL_BF16,
                                    .batch = 1,
                                    .pool = f.pool,
                                    .job = &job};
    pthread_t thread;
    struct sal_map map;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &job), 0);
    if (sal_explain(method, &question, &map, &err))
        fail_msg("%s", err.text);
    pthread_join(thread, NULL);
    assert_true(map.partial);
    assert_non_null(strstr(map.note, "so far"));
    assert_true(check_of(&map, "bf16_score_error") > 0);
    sal_map_release(&map);
    close_fixture(&f);
}

static void probes_are_where_maps_have_their_ends(void **s)
{
    (void)s;
    double scores[20];
    struct sal_probes probes;
    for (int i = 0; i < 20; i++)
        scores[i] = (i * 7) % 20;
    sal_probes_choose(&probes, SAL_PROBES_ENDS, scores, 20);
    assert_int_equal(probes.n, SAL_PROBES);
    assert_int_equal(probes.at[0], 0);
    double low = 20, high = 0;
    for (int i = 0; i < probes.n; i++) {
        assert_true(probes.bf16[i] == scores[probes.at[i]]);
        low = fmin(low, i ? probes.bf16[i] : low);
        high = fmax(high, probes.bf16[i]);
        for (int j = 0; j < i; j++)
            assert_true(probes.at[i] != probes.at[j]);
    }
    assert_true(low == 1 && high == 19); /* 0 is input 0 */
    sal_probes_choose(&probes, SAL_PROBES_GREATEST, scores, 20);
    for (int i = 0; i < probes.n; i++)
        assert_true(probes.bf16[i] == 19 - i);
    sal_probes_choose(&probes, SAL_PROBES_ENDS, scores, 3);
    assert_int_equal(probes.n, 3);
}

static void a_large_error_gets_a_note(void **s)
{
    (void)s;
    struct fixture f;
    open_fixture(&f, 1);
    struct sal_probes probes = {.n = 2, .bf16 = {1, 2}, .f32 = {0.5, 1.75}};
    assert_true(sal_probes_worst(&probes) == 0.5 && sal_probes_spread(&probes) == 0.25);
    assert_true(sal_probes_mean(&probes) == 0.375);
    struct sal_map map = {0}, large = {0};
    sal_probes_tell(&probes, f.model, 0.0099, &map);
    assert_string_equal(map.note, "");
    sal_probes_tell(&probes, f.model, 0.02, &large);
    assert_non_null(strstr(large.note, "2 % of its range"));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_to_nearest_and_ties_to_even),
        cmocka_unit_test(activations_are_rounded_like_weights),
        cmocka_unit_test(convolutions_sum_what_is_rounded),
        cmocka_unit_test(linear_layers_sum_what_is_rounded),
        cmocka_unit_test(a_model_in_bf16_is_near_but_not_the_same),
        cmocka_unit_test(bits_depend_on_neither_batch_nor_threads),
        cmocka_unit_test(what_cannot_be_in_bf16_is_refused),
        cmocka_unit_test(maps_say_how_far_they_are_from_f32),
        cmocka_unit_test(a_part_says_it_too),
        cmocka_unit_test(probes_are_where_maps_have_their_ends),
        cmocka_unit_test(a_large_error_gets_a_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
