/* What holds for every probe on every network: where it may look, what it may say, that it is
 * the same again; and what cannot be worse than what. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attack_models.h"
#include "attacks.h"
#include "random.h"
#include "small_network.h"

/* Every probe, in both norms where it has them, as small as it may be. */
static const struct {
    const char *name, *settings;
    enum sal_norm norm;
    bool bounded; /* by eps, which is appended */
} asks[] = {
    {"fgsm", "norm=linf", SAL_LINF, true},
    {"fgsm", "norm=l2 loss=ce", SAL_L2, true},
    {"pgd", "steps=5 restarts=3", SAL_LINF, true},
    {"pgd", "steps=5 restarts=2 norm=l2 loss=dlr", SAL_L2, true},
    {"apgd", "steps=20 restarts=2", SAL_LINF, true},
    {"apgd", "steps=12 norm=l2 loss=ce", SAL_L2, true},
    {"square", "queries=30", SAL_LINF, true},
    {"square", "queries=30 norm=l2", SAL_L2, true},
    {"noise", "samples=11", SAL_LINF, true},
    {"noise", "samples=11 norm=l2", SAL_L2, true},
    {"deepfool", "norm=l2 steps=5", SAL_L2, false},
    {"deepfool", "norm=linf steps=5", SAL_LINF, false},
    {"ddn", "steps=12", SAL_L2, false},
    {"fmn", "steps=12 norm=l2", SAL_L2, false},
    {"fmn", "steps=12", SAL_LINF, false},
    {"mineps", "", SAL_LINF, false},
    {"mineps", "norm=l2 effort=standard", SAL_L2, false},
    {"mineps", "attack=apgd", SAL_LINF, false},
    {"mineps", "attack=square norm=l2", SAL_L2, false},
    {"curve", "points=3 steps=3 samples=3", SAL_LINF, false},
    {"explanation", "steps=4 draws=3", SAL_LINF, true},
};
enum { ASKS = sizeof(asks) / sizeof(*asks) };

static const char *settings_of(int i, double eps, char text[160])
{
    if (asks[i].bounded)
        snprintf(text, 160, "%s eps=%.17g", asks[i].settings, eps);
    else
        snprintf(text, 160, "%s", asks[i].settings);
    return text;
}

static double scale_of(const struct sal_model *model, int c)
{
    const struct sal_preprocessing *spec = sal_model_preprocessing(model);
    return (spec->range[1] - spec->range[0]) / spec->std[c];
}

/* A picture of levels 0..white, a quarter of them at the ends, as an input. */
static const float *a_picture(const struct sal_model *model, unsigned white, uint64_t seed)
{
    static float x[N];
    const struct sal_model_input *input = sal_model_input(model);
    const struct sal_preprocessing *spec = sal_model_preprocessing(model);
    for (int c = 0; c < C; c++)
        for (int i = 0; i < PIXELS; i++) {
            double u = test_random(&seed), level = floor(u * (white + 1.0));
            double p = (u < 0.15 ? 0 : u > 0.9 ? white : level) / white;
            x[sal_input_place(input, c, i)] =
                (float)((spec->range[0] + p * (spec->range[1] - spec->range[0]) -
                         spec->mean[c]) / spec->std[c]);
        }
    return x;
}

/* ---- invariants --------------------------------------------------------------------------- */

static void assert_shows_a_picture(const struct sal_probe_answer *a)
{
    for (int64_t i = 0; i < (int64_t)a->planes * a->height * a->width; i++)
        assert_true(a->picture[i] >= 0 && a->picture[i] <= 1);
}

/* Not by a bit. */
static void no_point_leaves_ball_or_range(void **state)
{
    (void)state;
    static const unsigned whites[] = {255, 4095, 65535};
    static const enum network kinds[] = {SMOOTH, RELU, SMOOTH_NHWC};
    for (int k = 0; k < 3; k++) {
        struct sal_model *model = make_network(kinds[k], k ? "imagenet" : NULL);
        const float *x = a_picture(model, whites[k], (uint64_t)k);
        for (int i = 0; i < ASKS; i++)
            for (int times = 1; times <= 16; times *= 4) {
                double eps = (asks[i].norm == SAL_LINF ? 1 : 3) * (double)times / 255;
                char text[160];
                struct sal_probe_answer a =
                    probe_of(model, x, asks[i].name,
                             (struct probing){.settings = settings_of(i, eps, text), .c = 1});
                double got = asks[i].norm == SAL_LINF ? a.distance.linf : a.distance.l2;
                if (asks[i].bounded && !(got <= eps))
                    fail_msg("%s %s: %.17g is beyond %.17g", asks[i].name, text, got, eps);
                assert_shows_a_picture(&a);
                assert_answer_is_honest(model, x, 1, &a);
                assert_true(a.distance.linf <= a.distance.l2);
                assert_true(a.distance.l2 <= sqrt(N) * a.distance.linf);
                sal_probe_answer_release(&a);
                if (!asks[i].bounded)
                    break;
            }
        sal_model_close(model);
    }
}

/* The whole input moves by what the picture does, times what preprocessing makes of it. */
static void the_input_is_that_of_the_picture(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH_NHWC, "imagenet");
    const struct sal_model_input *input = sal_model_input(model);
    const float *x = a_picture(model, 255, 5);
    struct sal_probe_answer a =
        probe_of(model, x, "pgd", (struct probing){.settings = "eps=0.5 steps=9", .c = 1});
    assert_true(a.flipped && a.planes == C);
    for (int c = 0; c < C; c++)
        for (int i = 0; i < PIXELS; i++) {
            int64_t at = sal_input_place(input, c, i);
            double want = (double)x[at] + (double)a.change[c * PIXELS + i] * scale_of(model, c);
            assert_true(fabs((double)a.x[at] - want) <= 1e-6);
        }
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

static void with_no_room_nothing_moves(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, "imagenet");
    static float x[N], before[N];
    memcpy(x, a_picture(model, 255, 1), sizeof(x));
    memcpy(before, x, sizeof(x));
    for (int i = 0; i < ASKS; i++) {
        char text[160];
        if (!asks[i].bounded)
            continue;
        struct sal_probe_answer a = probe_of(
            model, x, asks[i].name, (struct probing){.settings = settings_of(i, 0, text), .c = 1});
        assert_memory_equal(x, before, sizeof(x));
        assert_memory_equal(a.x, x, sizeof(x));
        assert_false(a.flipped);
        assert_true(a.distance.linf == 0 && a.distance.l2 == 0 && a.distance.changed == 0);
        assert_true(a.best_margin == (a.goal == SAL_GOAL_CREATE ? -a.f_before : a.f_before));
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

static void masked_pixels_and_tied_channels_keep(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, "imagenet");
    static float x[N];
    static uint8_t mask[PIXELS];
    memcpy(x, a_picture(model, 255, 2), sizeof(x));
    for (int i = 0; i < PIXELS; i++) {
        mask[i] = i % W >= 7;
        for (int c = 1; c < C; c++) /* the same grey in all */
            x[c * PIXELS + i] = x[i] * (float)(scale_of(model, c) / scale_of(model, 0));
    }
    for (int i = 0; i < ASKS; i++) {
        char text[160];
        struct probing how = {.settings = settings_of(i, 0.2, text), .c = 1, .mask = mask};
        struct sal_probe_answer a = probe_of(model, x, asks[i].name, how);
        for (int k = 0; k < N; k++)
            if (!mask[k % PIXELS])
                assert_memory_equal(&a.x[k], &x[k], sizeof(float));
        double masked = asks[i].norm == SAL_LINF ? a.distance.linf : a.distance.l2;
        bool flipped = a.flipped;
        sal_probe_answer_release(&a);
        how.mask = NULL;
        a = probe_of(model, x, asks[i].name, how);
        double whole = asks[i].norm == SAL_LINF ? a.distance.linf : a.distance.l2;
        if (strcmp(asks[i].name, "mineps") == 0 && !strstr(text, "attack=")) /* less room */
            if (!(a.flipped >= flipped && (!flipped || whole <= masked * 1.02)))
                fail_msg("%s %s: %g with a mask, %g without", asks[i].name, text, masked, whole);
        sal_probe_answer_release(&a);
        how.grey = true;
        a = probe_of(model, x, asks[i].name, how);
        assert_int_equal(a.planes, 1);
        for (int k = 0; k < PIXELS; k++)
            for (int c = 0; c < C; c++) {
                double step = (double)a.change[k] * scale_of(model, c);
                assert_true(fabs((double)a.x[c * PIXELS + k] - (double)x[c * PIXELS + k] -
                                 step) <= 2e-7 * (1 + fabs((double)x[c * PIXELS + k])));
            }
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

static void assert_same(const struct sal_probe_answer *a, const struct sal_probe_answer *b)
{
    size_t bytes = (size_t)a->planes * (size_t)a->height * (size_t)a->width * sizeof(float);
    assert_memory_equal(a->x, b->x, N * sizeof(float));
    assert_memory_equal(a->picture, b->picture, bytes);
    assert_memory_equal(a->after, b->after, (size_t)a->n_logits * sizeof(float));
    assert_memory_equal(&a->distance, &b->distance, sizeof(a->distance));
    assert_memory_equal(&a->best_margin, &b->best_margin, sizeof(double));
    assert_int_equal(a->forwards, b->forwards);
    assert_int_equal(a->backwards, b->backwards);
    assert_int_equal(a->n_series, b->n_series);
    for (int i = 0; i < a->n_series; i++) {
        size_t size = (size_t)a->series[i].n * sizeof(double);
        assert_int_equal(a->series[i].n, b->series[i].n);
        assert_memory_equal(a->series[i].y, b->series[i].y, size);
    }
}

static void the_same_seed_gives_the_same_bits(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    for (int i = 0; i < ASKS; i++) {
        char text[160];
        struct probing how = {.settings = settings_of(i, 0.05, text), .c = 1, .seed = 3};
        const float *x = a_picture(model, 255, 3);
        struct sal_probe_answer a = probe_of(model, x, asks[i].name, how);
        for (int other = 0; other < 3; other++) {
            how.threads = other + 1;
            how.batch = (int[]){1, 3, 8}[other];
            struct sal_probe_answer b = probe_of(model, x, asks[i].name, how);
            assert_same(&a, &b);
            sal_probe_answer_release(&b);
        }
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

static void another_seed_draws_other_numbers(void **state)
{
    (void)state;
    /* after few steps: later a smooth network's way to its corner of the ball ends alike */
    static const char *const drawn[][2] = {
        {"noise", "eps=0.01"}, {"square", "eps=0.01"}, {"apgd", "eps=0.01 steps=2"}};
    struct sal_model *model = make_network(SMOOTH, NULL);
    const float *x = a_picture(model, 255, 3);
    for (int i = 0; i < 3; i++) {
        double margin[2];
        for (int seed = 0; seed < 2; seed++) {
            struct sal_probe_answer a =
                probe_of(model, x, drawn[i][0],
                         (struct probing){.settings = drawn[i][1], .seed = (uint64_t)seed});
            margin[seed] = a.best_margin;
            sal_probe_answer_release(&a);
        }
        assert_true(margin[0] != margin[1]);
    }
    sal_model_close(model);
}

static void what_is_so_already_takes_one_forward(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    const float *x = a_picture(model, 255, 4);
    for (int c = 0; c < CLASSES; c++)
        for (int i = 0; i < ASKS; i++) {
            char text[160], all[200];
            struct probing how = {.c = c};
            if (strcmp(asks[i].name, "explanation") == 0) /* has no goal */
                continue;
            struct sal_probe_answer a = probe_of(model, x, "fgsm", how);
            bool called = a.f_before >= 0;
            sal_probe_answer_release(&a);
            settings_of(i, 0.1, text);
            snprintf(all, sizeof(all), "%s goal=%s", text, called ? "create" : "hide");
            how.settings = all;
            a = probe_of(model, x, asks[i].name, how);
            assert_true(a.already && a.flipped && a.forwards == 1 && a.backwards == 0);
            assert_true(a.distance.linf == 0);
            assert_answer_is_honest(model, x, c, &a);
            sal_probe_answer_release(&a);
        }
    sal_model_close(model);
}

/* Constant networks, networks of one pixel, one row, one to four classes. */
static void nothing_odd_makes_what_is_not_finite(void **state)
{
    (void)state;
    static const int shapes[][3] = {{1, 1, 1}, {1, 1, 9}, {3, 2, 5}, {3, 7, 1}};
    for (int shape = 0; shape < 4; shape++)
        for (int outputs = 1; outputs <= 4; outputs++)
            for (int zero = 0; zero < 2; zero++) {
                const int *s = shapes[shape];
                float w[4 * 64], b[4], x[64];
                for (int i = 0; i < outputs * s[0] * s[1] * s[2]; i++)
                    w[i] = zero ? 0 : (float)sin(i + 1.0);
                for (int i = 0; i < 4; i++)
                    b[i] = (float)(0.1 * i - 0.2);
                for (int i = 0; i < s[0] * s[1] * s[2]; i++)
                    x[i] = (float)(i % 3) / 2;
                struct sal_model *model = linear_model(s[0], s[1], s[2], outputs, w, b,
                                                       outputs % 2 ? "Sigmoid" : "Softmax", NULL);
                for (int i = 0; i < ASKS; i++) {
                    char text[160];
                    struct sal_probe_answer a =
                        probe_of(model, x, asks[i].name,
                                 (struct probing){.settings = settings_of(i, 0.1, text),
                                                  .c = outputs - 1});
                    assert_answer_is_honest(model, x, outputs - 1, &a);
                    assert_true(isfinite(a.f_after) && isfinite(a.best_margin));
                    assert_true(isfinite(a.distance.l2));
                    assert_true(!zero || !a.flipped);
                    if (zero && a.n_lights)
                        assert_true(a.lights[0].alarm && a.lights[0].value == 1);
                    sal_probe_answer_release(&a);
                }
                sal_model_close(model);
            }
}

static void *stop(void *argument)
{
    struct sal_job *job = argument;
    while (atomic_load(&job->done) < 12)
        sched_yield();
    sal_job_cancel(job);
    return NULL;
}

static void what_is_stopped_keeps_its_best(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    const float *x = a_picture(model, 255, 4);
    int c = 0;
    for (double f = -1; f < 0; c += f < 0) { /* the class that is called */
        struct sal_probe_answer a = probe_of(model, x, "fgsm", (struct probing){.c = c});
        f = a.f_before;
        sal_probe_answer_release(&a);
    }
    struct sal_job job = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop, &job), 0);
    struct sal_probe_answer a =
        probe_of(model, x, "pgd",
                 (struct probing){.settings = "eps=0.5 steps=100000", .c = c, .job = &job});
    pthread_join(thread, NULL);
    assert_true(a.partial && a.flipped);
    assert_answer_is_honest(model, x, c, &a);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

/* ---- order ------------------------------------------------------------------------------------ */

static struct sal_probe_answer ask_of(const struct sal_model *model, uint64_t picture,
                                      const char *name, const char *settings, double eps)
{
    char text[160];
    snprintf(text, sizeof(text), "%s%.17g", settings, eps);
    return probe_of(model, a_picture(model, 255, picture), name,
                    (struct probing){.settings = text, .c = 1});
}

static double margin_of(const struct sal_model *model, uint64_t picture, const char *name,
                        const char *settings, double eps)
{
    struct sal_probe_answer a = ask_of(model, picture, name, settings, eps);
    double margin = a.best_margin;
    sal_probe_answer_release(&a);
    return margin;
}

static void more_work_is_never_worse(void **state)
{
    (void)state;
    static const enum network kinds[] = {SMOOTH, RELU};
    for (int k = 0; k < 2; k++) {
        struct sal_model *model = make_network(kinds[k], NULL);
        for (uint64_t i = 0; i < 6; i++) {
            double eps = 0.002 * (double)(i + 1);
            double fgsm = margin_of(model, i, "fgsm", "control=0 eps=", eps);
            double pgd = margin_of(model, i, "pgd", "control=0 steps=4 step=0.001 eps=", eps);
            double longer =
                margin_of(model, i, "pgd", "control=0 steps=9 step=0.001 eps=", eps);
            double more = margin_of(
                model, i, "pgd", "control=0 steps=4 step=0.001 restarts=4 eps=", eps);
            assert_true(pgd <= fgsm && longer <= pgd && more <= pgd);
            double square = margin_of(model, i, "square", "control=0 queries=40 eps=", eps);
            double noise = margin_of(model, i, "noise", "samples=40 eps=", eps);
            double full = margin_of(model, i, "pgd", "control=0 eps=", eps);
            assert_true(full <= square && full <= noise); /* where the gradient can be trusted */
        }
        sal_model_close(model);
    }
}

static double least_of(const struct sal_model *model, uint64_t picture, const char *name,
                       const char *settings, enum sal_norm norm)
{
    struct sal_probe_answer a = probe_of(model, a_picture(model, 255, picture), name,
                                         (struct probing){.settings = settings, .c = 1});
    double least = !a.flipped ? (double)INFINITY : norm == SAL_LINF ? a.distance.linf : a.distance.l2;
    sal_probe_answer_release(&a);
    return least;
}

/* Of a score that bends upwards one step to the tangent's boundary falls short by an eighth, and
 * what is left is made up for by going on. */
static void what_falls_short_is_gone_on_with(void **state)
{
    (void)state;
    static const float u[] = {2, 2, 2, 2}, v[] = {-2}, w[] = {1}, b[] = {-1};
    static const float x[] = {0.5F, 0.5F, 0.5F, 0.5F};
    struct sal_model *model = hidden_model(2, 2, 1, "Softplus", u, v, 1, w, b, "Sigmoid");
    struct probing how = {.settings = "norm=l2 steps=1 polish=no"};
    struct sal_probe_answer a = probe_of(model, x, "deepfool", how);
    assert_false(a.flipped);
    sal_probe_answer_release(&a);
    how.settings = "norm=l2 steps=1";
    a = probe_of(model, x, "deepfool", how);
    assert_true(a.flipped);
    double nearest = (2 - log(exp(1) - 1)) / 4; /* where softplus is 1, |u| = 4 */
    assert_true(a.distance.l2 >= nearest * (1 - 1e-6) && a.distance.l2 <= nearest * 1.001);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

static void several_attacks_are_no_worse_than_each(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    for (uint64_t i = 0; i < 3; i++) {
        double linf = least_of(model, i, "mineps", "effort=thorough", SAL_LINF);
        double l2 = least_of(model, i, "mineps", "effort=thorough norm=l2", SAL_L2);
        assert_true(isfinite(linf) && isfinite(l2));
        assert_true(linf <= 1.02 * least_of(model, i, "fmn", "", SAL_LINF));
        assert_true(linf <= 1.02 * least_of(model, i, "deepfool", "", SAL_LINF));
        assert_true(linf <= 1.02 * least_of(model, i, "mineps", "attack=pgd", SAL_LINF));
        assert_true(linf <= 1.02 * least_of(model, i, "mineps", "attack=fgsm", SAL_LINF));
        assert_true(l2 <= 1.02 * least_of(model, i, "ddn", "", SAL_L2));
        assert_true(l2 <= 1.02 * least_of(model, i, "fmn", "norm=l2", SAL_L2));
        assert_true(l2 <= 1.02 * least_of(model, i, "deepfool", "norm=l2", SAL_L2));
        assert_true(l2 <= sqrt(N) * linf * 1.02);
    }
    sal_model_close(model);
}

static void hiding_is_no_harder_than_any_target(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (uint64_t i = 0; i < 4; i++) {
        const float *x = a_picture(model, 255, i);
        double hide = INFINITY, create = INFINITY;
        for (int c = 0; c < CLASSES; c++) {
            struct sal_probe_answer a = probe_of(model, x, "mineps", (struct probing){.c = c});
            assert_true(a.flipped);
            double *least = a.goal == SAL_GOAL_HIDE ? &hide : &create;
            *least = fmin(*least, a.distance.linf);
            sal_probe_answer_release(&a);
        }
        assert_true(hide <= create * 1.01);
    }
    sal_model_close(model);
}

static void curves_do_not_turn_back(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    for (uint64_t i = 0; i < 3; i++) {
        struct sal_probe_answer a =
            ask_of(model, i, "curve", "points=6 steps=5 samples=5 max=", 0.1);
        const struct sal_series *f = sal_probe_series(&a, "attack_f");
        const struct sal_series *noise = sal_probe_series(&a, "noise");
        assert_true(f && noise && f->n == 6);
        double sign = a.goal == SAL_GOAL_CREATE ? -1 : 1, least = INFINITY;
        for (int k = 0; k < f->n; k++) {
            assert_true(sign * f->y[k] <= least);
            least = sign * f->y[k];
            assert_true(k == 0 || f->x[k] > f->x[k - 1]);
        }
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

/* What noise flips, a search that saw it has found. */
static void flips_of_noise_count(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    int flips = 0;
    for (uint64_t i = 0; i < 6; i++) {
        struct sal_probe_answer a = ask_of(model, i, "noise", "samples=50 eps=", 0.45);
        assert_true(a.flipped == (a.noise.flips > 0));
        flips += a.noise.flips;
        sal_probe_answer_release(&a);
    }
    assert_true(flips > 0);
    sal_model_close(model);
}

/* ---- parts ---------------------------------------------------------------------------------------- */

static void apgd_looks_back_when_it_should(void **state)
{
    (void)state;
    static const int published[] = {22, 41, 57, 70, 80, 87, 93, 99};
    struct sal_checkpoints checkpoints;
    sal_checkpoints_init(&checkpoints, 100);
    int n = 0, length, last = 0;
    for (int i = 1; i <= 100; i++)
        if (sal_checkpoints_pass(&checkpoints, i, &length)) {
            assert_int_equal(i, published[n++]);
            assert_int_equal(length, i - last);
            last = i;
        }
    assert_int_equal(n, 8);
}

static void shares_have_their_limits(void **state)
{
    (void)state;
    assert_true(fabs(sal_binomial_upper(0, 20, 0.05) - (1 - pow(0.05, 1 / 20.0))) <= 1e-9);
    assert_true(sal_binomial_upper(20, 20, 0.05) == 1);
    /* scipy.stats.beta.ppf(0.95, 4, 97) */
    assert_true(fabs(sal_binomial_upper(3, 100, 0.05) - 0.0757107) <= 1e-5);
}

/* d loss / d logits by differences, of every loss, goal and number of classes. */
static void slopes_of_losses_are_their_differences(void **state)
{
    (void)state;
    for (int n = 2; n <= 5; n++)
        for (int kind = 0; kind < 12; kind++) {
            struct sal_decision d = {.n = n, .c = kind % 2, .temperature = 1.5,
                                     .labels = kind >= 6 && kind % 4 == 0, .threshold = 0.3,
                                     .create = kind / 2 % 2};
            enum sal_loss loss = (enum sal_loss)(kind % 3);
            float z[5], slope[5], spare[5];
            for (int i = 0; i < n; i++)
                z[i] = (float)sin(3.0 * i + kind) * 2;
            sal_decision_loss(&d, loss, z, slope);
            for (int i = 0; i < n; i++) {
                float at = z[i], h = 1e-3F;
                z[i] = at + h;
                double up = sal_decision_loss(&d, loss, z, spare);
                z[i] = at - h;
                double down = sal_decision_loss(&d, loss, z, spare);
                z[i] = at;
                assert_true(fabs((up - down) / (2 * (double)h) - (double)slope[i]) <= 2e-3);
            }
        }
}

static void dlr_does_not_see_scale_or_shift(void **state)
{
    (void)state;
    float z[4] = {2, 1, -1, 0.5F}, other[4], slope[4];
    for (int create = 0; create < 2; create++) {
        struct sal_decision d = {.n = 4, .c = 1, .temperature = 1, .create = create};
        for (int i = 0; i < 4; i++)
            other[i] = 7 * z[i] - 3;
        double dlr = sal_decision_loss(&d, SAL_LOSS_DLR, z, slope);
        double ce = sal_decision_loss(&d, SAL_LOSS_CE, z, slope);
        assert_true(fabs(sal_decision_loss(&d, SAL_LOSS_DLR, other, slope) - dlr) <= 1e-6);
        assert_true(fabs(sal_decision_loss(&d, SAL_LOSS_CE, other, slope) - ce) > 0.1);
        d.n = create ? 3 : 2; /* too few classes: the margin */
        assert_true(sal_decision_loss(&d, SAL_LOSS_DLR, z, slope) == sal_decision_margin(&d, z));
    }
}

/* A label's threshold is where classify's answer changes, to the last bit. */
static void thresholds_are_those_of_classify(void **state)
{
    (void)state;
    static const double thresholds[] = {0.5, 0.294, 0.067, 0.999, 1e-4};
    for (int i = 0; i < 5; i++) {
        float w = 1, b = 0;
        char sidecar[200];
        snprintf(sidecar, sizeof(sidecar),
                 "{\"activation\": \"sigmoid\", \"classes\": [{\"name\": \"a\", \"threshold\": "
                 "%g}], \"calibration\": {\"temperature\": 1.7}}", thresholds[i]);
        struct sal_model *model = linear_model(1, 1, 1, 1, &w, &b, "Sigmoid", sidecar);
        struct sal_decision d;
        must(sal_decision_init(&d, model, 0, err));
        for (int step = -3; step <= 3; step++) {
            float z = (float)d.threshold;
            for (int k = 0; k < abs(step); k++)
                z = nextafterf(z, step < 0 ? -INFINITY : INFINITY);
            double p;
            sal_model_probabilities(model, &z, &p);
            assert_true(sal_model_flagged(model, 0, p) == sal_decision_called(&d, &z));
            assert_true(sal_decision_called(&d, &z) == (step >= 0));
        }
        assert_true(fabs(d.threshold - 1.7 * log(thresholds[i] / (1 - thresholds[i]))) <= 1e-5);
        sal_model_close(model);
    }
}

static void projections_are_the_nearest_points(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_probe_question question = {.model = model, .x = a_picture(model, 255, 8)};
    struct sal_space space;
    static float p[N], q[N];
    uint64_t draws = 4;
    must(sal_space_init(&space, &question, err));
    for (int round = 0; round < 6; round++) {
        struct sal_ball ball = {round % 2 ? SAL_L2 : SAL_LINF, 0.05 * (round + 1)};
        for (int i = 0; i < N; i++)
            p[i] = (float)((double)space.p0[i] + 0.8 * (test_random(&draws) - 0.5));
        memcpy(q, p, sizeof(p));
        sal_space_project(&space, ball, q);
        assert_true(sal_space_norm(&space, ball.norm, q) <= ball.eps);
        assert_true(sal_space_norm(&space, ball.norm, q) >= ball.eps * (1 - 1e-5));
        /* (p - q) (r - q) <= 0 for every r there */
        for (int k = 0; k < 5; k++) {
            double along = 0;
            static float r[N];
            for (int i = 0; i < N; i++)
                r[i] = (float)((double)q[i] + 0.2 * (test_random(&draws) - 0.5));
            sal_space_project(&space, ball, r);
            for (int i = 0; i < N; i++)
                along += ((double)p[i] - (double)q[i]) * ((double)r[i] - (double)q[i]);
            assert_true(along <= 1e-5);
        }
        memcpy(p, q, sizeof(p)); /* what is inside stays */
        sal_space_project(&space, ball, q);
        assert_memory_equal(p, q, sizeof(p));
    }
    sal_space_release(&space);
    sal_model_close(model);
}

/* <gradient, change of picture> = <slope, change of input>, tied or not, in either layout. */
static void gradients_are_adjoint_to_inputs(void **state)
{
    (void)state;
    static float p[N], g[N], x[N], dx[N];
    uint64_t draws = 9;
    for (int kind = 0; kind < 4; kind++) {
        struct sal_model *model = make_network(kind % 2 ? SMOOTH_NHWC : SMOOTH, "imagenet");
        struct sal_probe_question question = {
            .model = model, .x = a_picture(model, 255, 8), .grey = kind >= 2};
        struct sal_space space;
        double left = 0, right = 0;
        must(sal_space_init(&space, &question, err));
        for (int i = 0; i < N; i++)
            dx[i] = (float)(test_random(&draws) - 0.5);
        for (int64_t i = 0; i < space.n; i++)
            p[i] = (float)test_random(&draws);
        sal_space_gradient(&space, dx, g);
        sal_space_input(&space, p, x);
        for (int64_t i = 0; i < space.n; i++)
            left += (double)g[i] * ((double)p[i] - (double)space.p0[i]);
        for (int i = 0; i < N; i++)
            right += (double)dx[i] * ((double)x[i] - (double)question.x[i]);
        assert_true(fabs(left - right) <= 1e-5 * (1 + fabs(left)));
        sal_space_release(&space);
        sal_model_close(model);
    }
}

static void what_cannot_be_asked_is_refused(void **state)
{
    (void)state;
    float w[2] = {1, -1}, b[2] = {0, 0}, x = 0.5F;
    struct sal_error err;
    struct sal_probe_answer a;
    struct sal_model *model = linear_model(1, 1, 1, 1, w, b, "Softmax", NULL);
    assert_int_equal(probe_ask(model, &x, "pgd", (struct probing){0}, &a, &err), SAL_UNSUPPORTED);
    sal_model_close(model);
    model = linear_model(1, 1, 1, 2, w, b, "Sigmoid",
                         "{\"classes\": [{\"name\": \"a\", \"threshold\": 0},"
                         " {\"name\": \"b\"}]}");
    assert_int_equal(probe_ask(model, &x, "pgd", (struct probing){0}, &a, &err), SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "'a'"));
    assert_int_equal(probe_ask(model, &x, "pgd", (struct probing){.c = 2}, &a, &err), SAL_USAGE);
    assert_int_equal(probe_ask(model, &x, "pgd", (struct probing){.settings = "eps=-1"}, &a, &err),
                     SAL_USAGE);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_point_leaves_ball_or_range),
        cmocka_unit_test(the_input_is_that_of_the_picture),
        cmocka_unit_test(with_no_room_nothing_moves),
        cmocka_unit_test(masked_pixels_and_tied_channels_keep),
        cmocka_unit_test(the_same_seed_gives_the_same_bits),
        cmocka_unit_test(another_seed_draws_other_numbers),
        cmocka_unit_test(what_is_so_already_takes_one_forward),
        cmocka_unit_test(nothing_odd_makes_what_is_not_finite),
        cmocka_unit_test(what_is_stopped_keeps_its_best),
        cmocka_unit_test(more_work_is_never_worse),
        cmocka_unit_test(what_falls_short_is_gone_on_with),
        cmocka_unit_test(several_attacks_are_no_worse_than_each),
        cmocka_unit_test(hiding_is_no_harder_than_any_target),
        cmocka_unit_test(curves_do_not_turn_back),
        cmocka_unit_test(flips_of_noise_count),
        cmocka_unit_test(apgd_looks_back_when_it_should),
        cmocka_unit_test(shares_have_their_limits),
        cmocka_unit_test(slopes_of_losses_are_their_differences),
        cmocka_unit_test(dlr_does_not_see_scale_or_shift),
        cmocka_unit_test(thresholds_are_those_of_classify),
        cmocka_unit_test(projections_are_the_nearest_points),
        cmocka_unit_test(gradients_are_adjoint_to_inputs),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
