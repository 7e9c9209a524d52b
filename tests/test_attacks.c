/* Attacks on models whose smallest changes are known in closed form: half spaces, with and
 * without the range of the picture in the way. */
#include <math.h>
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

/* ---- half spaces ------------------------------------------------------------------------- */

enum { SIZE = 60 }; /* pixels */

struct half {
    int height, width;
    float w[SIZE], x[SIZE], b;
    double f; /* at x */
};

static uint64_t draws = 7;

static double uniform(double low, double high)
{
    return low + (high - low) * test_random(&draws);
}

/* Weights of either sign, some zero; a share of the picture at the ends of its range; f of
 * that size at x. */
static struct half make_half(double border, double f)
{
    struct half h = {.height = 6, .width = 10, .f = f};
    double sum = 0;
    for (int i = 0; i < SIZE; i++) {
        h.w[i] = (float)(i % 17 == 3 ? 0 : uniform(-1, 1));
        h.x[i] = (float)(uniform(0, 1) < border ? (i % 2) : uniform(0.2, 0.8));
        sum += (double)h.w[i] * (double)h.x[i];
    }
    h.b = (float)(f - sum);
    h.f = sum + (double)h.b;
    return h;
}

static struct sal_model *model_of(const struct half *h)
{
    return linear_model(1, h->height, h->width, 1, h->w, &h->b, "Sigmoid", NULL);
}

static double room(const struct half *h, int i)
{
    bool down = (h->w[i] > 0) == (h->f > 0);
    return down ? (double)h->x[i] : 1 - (double)h->x[i];
}

/* What the best change of that size takes off |f|: Linf at distance t, L2 with multiplier t. */
static double taken(const struct half *h, enum sal_norm norm, double t, double *length)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < SIZE; i++) {
        double w = fabs((double)h->w[i]), step = norm == SAL_LINF ? t : t * w;
        step = fmin(step, room(h, i)) * (w > 0);
        sum += w * step;
        squares += step * step;
    }
    *length = norm == SAL_LINF ? t : sqrt(squares);
    return sum;
}

/* The distance of the half space within the range of the picture, by bisection. */
static double optimum(const struct half *h, enum sal_norm norm)
{
    double low = 0, high = 1e3, length;
    for (int i = 0; i < 200; i++) {
        double middle = (low + high) / 2;
        *(taken(h, norm, middle, &length) < fabs(h->f) ? &low : &high) = middle;
    }
    taken(h, norm, high, &length);
    return length;
}

static double length_of(const struct sal_probe_answer *a, enum sal_norm norm)
{
    return norm == SAL_LINF ? a->distance.linf : a->distance.l2;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void minimum_norms_of_half_spaces_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings;
        double most; /* times the optimum */
    } attacks[] = {
        {"ddn", "", 1.01},
        {"fmn", "norm=l2", 1.01},
        {"fmn", "norm=linf", 1.01},
        {"deepfool", "norm=l2", 1.01},
        {"deepfool", "norm=linf", 1.01},
        {"mineps", "norm=l2", 1.01},
        {"mineps", "norm=linf", 1.01},
        {"mineps", "norm=linf attack=pgd", 1.05},
        {"mineps", "norm=linf attack=fgsm", 1.05},
    };
    for (int i = 0; i < 12; i++) {
        struct half h = make_half(0.2 * (i % 3), i % 2 ? 0.5 : -0.3);
        struct sal_model *model = model_of(&h);
        for (size_t k = 0; k < sizeof(attacks) / sizeof(*attacks); k++) {
            struct sal_probe_answer a =
                probe_of(model, h.x, attacks[k].name,
                         (struct probing){.settings = attacks[k].settings});
            double best = optimum(&h, a.norm), got = length_of(&a, a.norm);
            assert_answer_is_honest(model, h.x, 0, &a);
            assert_true(a.flipped);
            if (!(got >= best * (1 - 1e-5) && got <= best * attacks[k].most))
                fail_msg("%s %s: %g, the optimum is %g", attacks[k].name, attacks[k].settings,
                         got, best);
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
}


/* ---- several classes ---------------------------------------------------------------------- */

enum { CLASSES_N = 4 };

/* Class k's logit less class 0's, as a half space of its own: where it grows to 0. */
static struct half against(const struct half *h, float w[CLASSES_N][SIZE], const float *b, int k)
{
    struct half one = *h;
    double f = (double)b[0] - (double)b[k];
    for (int i = 0; i < SIZE; i++) {
        one.w[i] = w[0][i] - w[k][i];
        f += (double)one.w[i] * (double)h->x[i];
    }
    one.f = f;
    return one;
}

/* The step that multipliers of planes j make, within the range of the picture: d[SIZE]. */
static void step_of(const struct half *h, float w[CLASSES_N][SIZE], int k, const double *lambda,
                    double *d)
{
    for (int i = 0; i < SIZE; i++) {
        d[i] = 0;
        for (int j = 0; j < CLASSES_N; j++)
            d[i] -= j == k ? 0 : lambda[j] * ((double)w[j][i] - (double)w[k][i]);
        d[i] = fmax(-(double)h->x[i], fmin(1 - (double)h->x[i], d[i]));
    }
}

/* The L2 distance to where class k is above all others: each multiplier in turn is made just
 * large enough (coordinate ascent in the dual). */
static double distance_to_all(const struct half *h, float w[CLASSES_N][SIZE], const float *b,
                              int k)
{
    double lambda[CLASSES_N] = {0}, d[SIZE], squares = 0;
    for (int round = 0; round < 300; round++)
        for (int j = 0; j < CLASSES_N; j++) {
            double low = 0, high = 10;
            for (int step = 0; step < 50 && j != k; step++) {
                double f = (double)b[j] - (double)b[k];
                lambda[j] = (low + high) / 2;
                step_of(h, w, k, lambda, d);
                for (int i = 0; i < SIZE; i++)
                    f += ((double)w[j][i] - (double)w[k][i]) * ((double)h->x[i] + d[i]);
                *(f > 0 ? &low : &high) = lambda[j];
            }
            lambda[j] = j == k ? 0 : low;
        }
    step_of(h, w, k, lambda, d);
    for (int i = 0; i < SIZE; i++)
        squares += d[i] * d[i];
    return sqrt(squares);
}

static void the_nearest_of_several_boundaries_is_found(void **state)
{
    (void)state;
    static const char *const names[] = {"deepfool", "fmn", "mineps"};
    for (int round = 0; round < 6; round++) {
        struct half h = make_half(0.3 * (round % 2), 1);
        float w[CLASSES_N][SIZE], b[CLASSES_N];
        for (int k = 0; k < CLASSES_N; k++) {
            double sum = 0;
            for (int i = 0; i < SIZE; i++) {
                w[k][i] = (float)(uniform(-1, 1) * (1 + k)); /* the highest is not the nearest */
                sum += (double)w[k][i] * (double)h.x[i];
            }
            b[k] = (float)((k ? -uniform(0.3, 0.9) : 0) - sum);
        }
        struct sal_model *model =
            linear_model(1, 6, 10, CLASSES_N, w[0], b, "Softmax", NULL);
        for (int norm = 0; norm < 2; norm++) {
            double best = INFINITY;
            for (int k = 1; k < CLASSES_N; k++) {
                struct half one = against(&h, w, b, k);
                double to_k = optimum(&one, (enum sal_norm)norm);
                best = fmin(best, to_k);
                char settings[64]; /* a targeted attack may have to pass other classes */
                snprintf(settings, sizeof(settings), "norm=%s goal=create",
                         sal_norm_names[norm]);
                struct sal_probe_answer a = probe_of(
                    model, h.x, "mineps", (struct probing){.settings = settings, .c = k});
                assert_true(a.flipped && a.goal == SAL_GOAL_CREATE);
                assert_answer_is_honest(model, h.x, k, &a);
                assert_true(length_of(&a, (enum sal_norm)norm) >= to_k * (1 - 1e-5));
                if (norm == SAL_L2) { /* every rival is to be passed at once */
                    double all = distance_to_all(&h, w, b, k);
                    if (!(a.distance.l2 >= all * (1 - 1e-4) && a.distance.l2 <= all * 1.003))
                        fail_msg("class %d: %g, the optimum is %g", k, a.distance.l2, all);
                }
                sal_probe_answer_release(&a);
            }
            for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                char settings[64];
                snprintf(settings, sizeof(settings), "norm=%s", sal_norm_names[norm]);
                struct sal_probe_answer a =
                    probe_of(model, h.x, names[i], (struct probing){.settings = settings});
                double got = length_of(&a, (enum sal_norm)norm);
                assert_true(a.flipped && a.goal == SAL_GOAL_HIDE);
                assert_answer_is_honest(model, h.x, 0, &a);
                if (!(got >= best * (1 - 1e-5) && got <= best * 1.01))
                    fail_msg("%s %s: %g, the optimum is %g", names[i], settings, got, best);
                sal_probe_answer_release(&a);
            }
            if (round % 2) /* by itself DeepFool finds it where the range does not matter */
                continue;
            char settings[64];
            snprintf(settings, sizeof(settings), "polish=no norm=%s", sal_norm_names[norm]);
            struct sal_probe_answer a =
                probe_of(model, h.x, "deepfool", (struct probing){.settings = settings});
            assert_true(length_of(&a, (enum sal_norm)norm) <= 1.021 * (best + 1e-4));
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
}

/* ---- a bent boundary ---------------------------------------------------------------------- */

enum { HIDDEN = 6, GRID = 4001 };

struct bent {
    float u[HIDDEN * 2], v[HIDDEN], w[HIDDEN], b, x[2];
};

static double bent_f(const struct bent *m, double x, double y)
{
    double f = (double)m->b;
    for (int i = 0; i < HIDDEN; i++)
        f += (double)m->w[i] * fmax(0, (double)m->u[2 * i] * x + (double)m->u[2 * i + 1] * y +
                                           (double)m->v[i]);
    return f;
}

/* The nearest point of a grid over the unit square that is on the other side. */
static void search_grid(const struct bent *m, int grid, double *linf, double *l2)
{
    double x0 = (double)m->x[0], y0 = (double)m->x[1];
    bool called = bent_f(m, x0, y0) >= 0;
    for (int i = 0; i < grid; i++) {
        double x = i / (grid - 1.0), dx = fabs(x - x0);
        for (int j = 0; dx < *l2 && j < grid; j++) {
            double y = j / (grid - 1.0), dy = fabs(y - y0);
            if (hypot(dx, dy) >= *l2 && fmax(dx, dy) >= *linf)
                continue;
            if ((bent_f(m, x, y) >= 0) == called)
                continue;
            *linf = fmin(*linf, fmax(dx, dy));
            *l2 = fmin(*l2, hypot(dx, dy));
        }
    }
}

static void bent_boundaries_are_found_as_by_a_grid(void **state)
{
    (void)state;
    int looked = 0;
    for (int round = 0; round < 40 && looked < 8; round++) {
        struct bent m = {.x = {(float)uniform(0.2, 0.8), (float)uniform(0.2, 0.8)}};
        for (int i = 0; i < HIDDEN; i++) {
            m.u[2 * i] = (float)uniform(-2, 2);
            m.u[2 * i + 1] = (float)uniform(-2, 2);
            m.v[i] = (float)uniform(-1, 1);
            m.w[i] = (float)uniform(-1, 1);
        }
        m.b = (float)uniform(-0.3, 0.3);
        double best[2] = {INFINITY, INFINITY};
        search_grid(&m, 101, &best[SAL_LINF], &best[SAL_L2]); /* so that the next is quick */
        search_grid(&m, GRID, &best[SAL_LINF], &best[SAL_L2]);
        if (!isfinite(best[0]) || best[0] < 0.02)
            continue;
        looked++;
        struct sal_model *model = mlp_model(2, HIDDEN, m.u, m.v, 1, m.w, &m.b, "Sigmoid");
        for (int norm = 0; norm < 2; norm++) {
            char settings[64];
            snprintf(settings, sizeof(settings), "norm=%s effort=standard",
                     sal_norm_names[norm]);
            struct sal_probe_answer a =
                probe_of(model, m.x, "mineps", (struct probing){.settings = settings});
            double got = length_of(&a, (enum sal_norm)norm), slack = 1.5 / GRID;
            assert_true(a.flipped);
            assert_answer_is_honest(model, m.x, 0, &a);
            if (!(got >= best[norm] - slack && got <= best[norm] * 1.05))
                fail_msg("round %d %s: %g, the grid says %g", round, settings, got, best[norm]);
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
    assert_int_equal(looked, 8);
}

/* ---- what is the same ------------------------------------------------------------------------ */

static void one_logit_and_two_are_the_same_question(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        struct half h = make_half(0.2, round % 2 ? 0.4 : -0.4);
        float w[2][SIZE], b[2] = {h.b / 2, -h.b / 2};
        for (int i = 0; i < SIZE; i++) {
            w[0][i] = h.w[i] / 2;
            w[1][i] = -h.w[i] / 2;
        }
        struct sal_model *models[] = {
            model_of(&h), linear_model(1, 6, 10, 1, h.w, &h.b, "Identity", NULL),
            linear_model(1, 6, 10, 2, w[0], b, "Softmax", NULL)};
        double at[3];
        for (int i = 0; i < 3; i++) {
            struct sal_probe_answer a = probe_of(models[i], h.x, "mineps", (struct probing){0});
            assert_true(a.flipped);
            assert_true(fabs(a.f_before - h.f) <= 1e-5);
            at[i] = a.distance.linf;
            sal_probe_answer_release(&a);
            sal_model_close(models[i]);
        }
        assert_true(fabs(at[1] / at[0] - 1) <= 1e-3 && fabs(at[2] / at[0] - 1) <= 1e-3);
    }
}

/* Lengths are of the picture, not of what the network is given. */
static void preprocessing_does_not_change_lengths(void **state)
{
    (void)state;
    static const char sidecar[] =
        "{\"input\": {\"channels\": \"gray\", \"range\": [0, 255], \"mean\": [120],"
        " \"std\": [50]}, \"activation\": \"sigmoid\", \"classes\": [{\"name\": \"a\","
        " \"threshold\": 0.5}]}";
    struct half h = make_half(0.2, 0.4);
    float scaled[SIZE], x[SIZE], b = 0;
    double sum = 0;
    for (int i = 0; i < SIZE; i++) {
        x[i] = (255 * h.x[i] - 120) / 50;
        scaled[i] = h.w[i] * 50 / 255;
        sum += (double)scaled[i] * (double)x[i];
    }
    b = (float)(h.f - sum);
    struct sal_model *plain = model_of(&h);
    struct sal_model *model = linear_model(1, 6, 10, 1, scaled, &b, "Sigmoid", sidecar);
    for (int norm = 0; norm < 2; norm++) {
        char settings[32];
        snprintf(settings, sizeof(settings), "norm=%s", sal_norm_names[norm]);
        struct sal_probe_answer a =
            probe_of(plain, h.x, "fmn", (struct probing){.settings = settings});
        struct sal_probe_answer c =
            probe_of(model, x, "fmn", (struct probing){.settings = settings});
        assert_true(fabs(length_of(&c, (enum sal_norm)norm) /
                             length_of(&a, (enum sal_norm)norm) - 1) <= 1e-3);
        assert_answer_is_honest(model, x, 0, &c);
        sal_probe_answer_release(&a);
        sal_probe_answer_release(&c);
    }
    sal_model_close(plain);
    sal_model_close(model);
}

/* ---- single attacks --------------------------------------------------------------------------- */

static void fgsm_flips_just_beyond_the_boundary(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        struct half h = make_half(0.2 * (i % 3), i % 2 ? 0.5 : -0.3);
        struct sal_model *model = model_of(&h);
        double best = optimum(&h, SAL_LINF);
        for (int beyond = 0; beyond < 2; beyond++) {
            char settings[64];
            snprintf(settings, sizeof(settings), "control=0 eps=%.17g",
                     best * (beyond ? 1.001 : 0.999));
            struct sal_probe_answer a =
                probe_of(model, h.x, "fgsm", (struct probing){.settings = settings});
            assert_true(a.flipped == beyond);
            assert_int_equal(a.backwards, 1);
            assert_true((a.best_margin < 0) == beyond);
            assert_true(a.distance.changed <= SIZE - 4); /* a gradient of zero moves nothing */
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
}

/* However small logits are. */
static void pgd_flips_just_beyond_the_boundary(void **state)
{
    (void)state;
    static const char *const names[] = {"pgd", "apgd"};
    for (int i = 0; i < 8; i++) {
        struct half h = make_half(0.2 * (i % 3), i % 2 ? 0.5 : -0.3);
        for (int k = 0; k < SIZE; k++)
            h.w[k] *= 1e-3F;
        h.b *= 1e-3F;
        h.f *= 1e-3;
        struct sal_model *model = model_of(&h);
        for (int norm = 0; norm < 2; norm++) {
            char settings[80];
            snprintf(settings, sizeof(settings), "control=0 norm=%s eps=%.17g",
                     sal_norm_names[norm], optimum(&h, (enum sal_norm)norm) * 1.02);
            for (int k = 0; k < 2; k++) {
                struct sal_probe_answer a =
                    probe_of(model, h.x, names[k], (struct probing){.settings = settings});
                assert_true(a.flipped);
                sal_probe_answer_release(&a);
            }
        }
        sal_model_close(model);
    }
}

/* APGD in one pixel, where the loss is |p - least| + 0.1, step by step as the paper has it. */
static double put(double v, bool rounded)
{
    return rounded ? (double)(float)v : v;
}

static double trace_apgd(double p0, double eps, double start, double least, int steps,
                         bool rounded)
{
    double p = start, before = p, best_p = p, size = 2 * eps;
    double loss = fabs(p - least), best = loss, best_then = loss;
    int next = (int)fmax(0.22 * steps, 1), length = next, since = 0, better = 0;
    bool halved = true;
    for (int i = 0; i < steps; i++) {
        double u = p - size * ((p > least) - (p < least)), a = i ? 0.75 : 1;
        u = put(fmin(fmax(u, p0 - eps), p0 + eps), rounded);
        u = put(p + a * (u - p) + (1 - a) * (p - before), rounded);
        before = p;
        p = put(fmin(fmax(u, p0 - eps), p0 + eps), rounded);
        better += fabs(p - least) < loss;
        loss = fabs(p - least);
        if (loss < best) {
            best = loss;
            best_p = p;
        }
        since++;
        if (i + 1 != next)
            continue;
        bool halve = better <= 0.75 * since || (!halved && !(best < best_then));
        halved = halve;
        best_then = best;
        better = since = 0;
        size /= halve ? 2 : 1;
        p = halve ? best_p : p;
        length = (int)fmax(length - fmax((int)(0.03 * steps), 1), fmax((int)(0.06 * steps), 1));
        next += length;
    }
    return best + 0.1;
}

static void apgd_goes_as_traced_by_hand(void **state)
{
    (void)state;
    static const int lengths[] = {100, 20, 50, 20}; /* short ones are stuck at times */
    const float u[2] = {1, -1}, w[2] = {1, 1}, b = 0.1F;
    int apart = 0, traced = 0;
    for (int round = 0; round < 24; round++) {
        const int steps = lengths[round % 4];
        float x = 0.5F, least = (float)uniform(0.42, 0.58), v[2] = {-least, least};
        double eps = 0.1;
        struct sal_model *model = mlp_model(1, 2, u, v, 1, w, &b, "Sigmoid");
        char settings[64];
        float start[1];
        struct sal_probe_question question = {.model = model, .x = &x, .seed = (uint64_t)round};
        struct sal_probe_answer unused = {0};
        struct sal_search s;
        must(sal_search_init(&s, sal_probe_find("apgd"), &question, &unused, err));
        sal_step_random(&s, (struct sal_ball){SAL_LINF, eps}, true,
                        sal_stream_key(&s, SAL_STREAM_APGD, 0), start);
        sal_search_release(&s);
        snprintf(settings, sizeof(settings), "control=0 eps=%g steps=%d", eps, steps);
        struct sal_probe_answer a = probe_of(
            model, &x, "apgd", (struct probing){.settings = settings, .seed = (uint64_t)round});
        double from = (double)start[0], to = (double)least;
        double want = trace_apgd(0.5, eps, from, to, steps, false);
        double other = trace_apgd(0.5, eps, from, to, steps, true);
        bool steady = fabs(other - want) <= 1e-6; /* ties are not decided by rounding */
        traced += steady;
        if (steady && !(fabs(a.best_margin - want) <= 1e-6))
            fail_msg("round %d: %.9g, by hand %.9g", round, a.best_margin, want);
        apart += want > 0.1 + 1e-6;
        sal_probe_answer_release(&a);
        sal_model_close(model);
    }
    assert_true(apart >= 6 && traced >= 12); /* it does not just get there */
}

static void deepfool_of_a_half_space_is_one_step(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct half h = make_half(0, i % 2 ? 0.5 : -0.3);
        struct sal_model *model = model_of(&h);
        double squares = 0, sizes = 0;
        for (int k = 0; k < SIZE; k++) {
            squares += pow((double)h.w[k], 2);
            sizes += fabs((double)h.w[k]);
        }
        for (int norm = 0; norm < 2; norm++) {
            char settings[64];
            snprintf(settings, sizeof(settings), "control=0 polish=no norm=%s",
                     sal_norm_names[norm]);
            double d = fabs(h.f) / (norm == SAL_L2 ? sqrt(squares) : sizes);
            struct sal_probe_answer a =
                probe_of(model, h.x, "deepfool", (struct probing){.settings = settings});
            double expected = 1.02 * (d + 1e-4);
            assert_true(a.flipped);
            assert_true(fabs(length_of(&a, (enum sal_norm)norm) / expected - 1) <= 1e-5);
            assert_int_equal(a.backwards, 2); /* at the picture and where it led */
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
}

static void deepfool_at_the_ends_of_the_range_is_near(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct half h = make_half(0.4, i % 2 ? 0.5 : -0.3);
        struct sal_model *model = model_of(&h);
        struct sal_probe_answer a =
            probe_of(model, h.x, "deepfool",
                     (struct probing){.settings = "control=0 polish=no norm=l2"});
        assert_true(a.flipped);
        assert_true(a.distance.l2 <= 1.03 * (optimum(&h, SAL_L2) + 1e-4));
        sal_probe_answer_release(&a);
        sal_model_close(model);
    }
}

/* To first order, in the box, is exact where the network is straight. */
static void first_order_is_exact_where_the_network_is_straight(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct half h = make_half(0.2 * (i % 3), i % 2 ? 0.5 : -0.3);
        struct sal_model *model = model_of(&h);
        for (int norm = 0; norm < 2; norm++) {
            char settings[32];
            snprintf(settings, sizeof(settings), "norm=%s", sal_norm_names[norm]);
            struct sal_probe_answer a =
                probe_of(model, h.x, "fmn", (struct probing){.settings = settings});
            assert_true(fabs(a.estimate / optimum(&h, (enum sal_norm)norm) - 1) <= 1e-5);
            assert_true(length_of(&a, (enum sal_norm)norm) >= a.estimate * (1 - 1e-5));
            double width = a.bracket[1] - a.bracket[0];
            assert_true(width > 0 && width <= ldexp(a.bracket[1], -12));
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
}

static void what_no_change_reaches_is_told_so(void **state)
{
    (void)state;
    struct half h = make_half(0.2, 100); /* more than the whole range can take off */
    struct sal_model *model = model_of(&h);
    uint8_t roi[SIZE] = {[7] = 1, [8] = 1};
    for (int i = 0; sal_probe_list[i]; i++) {
        struct sal_probe_answer a =
            probe_of(model, h.x, sal_probe_list[i]->name, (struct probing){.roi = roi});
        assert_false(a.flipped);
        assert_answer_is_honest(model, h.x, 0, &a);
        if (sal_probe_list[i]->needs & SAL_PROBE_ATTACK)
            assert_non_null(strstr(a.note, "does not show that there is none"));
        if (strcmp(sal_probe_list[i]->name, "mineps") == 0)
            assert_true(isinf(a.estimate));
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

static void noise_of_a_half_space_flips_as_often_as_it_should(void **state)
{
    (void)state;
    struct half h = make_half(0, 0.3);
    struct sal_model *model = model_of(&h);
    double squares = 0, length = 0.35;
    for (int k = 0; k < SIZE; k++)
        squares += pow((double)h.w[k], 2);
    char settings[64];
    snprintf(settings, sizeof(settings), "norm=l2 samples=2000 eps=%g", length);
    struct sal_probe_answer a =
        probe_of(model, h.x, "noise", (struct probing){.settings = settings});
    double sd = length * sqrt(squares / SIZE), p = 0.5 * erfc(0.3 / sd / sqrt(2));
    double got = (double)a.noise.flips / a.noise.n;
    assert_true(p > 0.01 && fabs(got - p) <= 4 * sqrt(p * (1 - p) / a.noise.n));
    assert_true(a.flipped == (a.noise.flips > 0));
    assert_true(a.noise.upper > got && a.noise.low <= a.noise.mean &&
                a.noise.mean <= a.noise.high);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimum_norms_of_half_spaces_are_found),
        cmocka_unit_test(the_nearest_of_several_boundaries_is_found),
        cmocka_unit_test(bent_boundaries_are_found_as_by_a_grid),
        cmocka_unit_test(one_logit_and_two_are_the_same_question),
        cmocka_unit_test(preprocessing_does_not_change_lengths),
        cmocka_unit_test(fgsm_flips_just_beyond_the_boundary),
        cmocka_unit_test(pgd_flips_just_beyond_the_boundary),
        cmocka_unit_test(apgd_goes_as_traced_by_hand),
        cmocka_unit_test(deepfool_of_a_half_space_is_one_step),
        cmocka_unit_test(deepfool_at_the_ends_of_the_range_is_near),
        cmocka_unit_test(first_order_is_exact_where_the_network_is_straight),
        cmocka_unit_test(what_no_change_reaches_is_told_so),
        cmocka_unit_test(noise_of_a_half_space_flips_as_often_as_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
