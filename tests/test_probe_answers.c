/* What an answer says of itself holds when it is asked for again: the ends of its
 * bracket, the picture as a file keeps it; and the gradients that attacks go by are
 * those of what they see. */
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
#include "saliscope/buffer.h"
#include "small_network.h"

enum { HEIGHT = 6, WIDTH = 10, SIZE = HEIGHT * WIDTH };

/* A half space of unit intensity, the picture on levels of 255, f there of about that
 * size. */
static struct sal_model *make_half(double f, uint64_t seed, float x[SIZE])
{
    float w[SIZE], b;
    double sum = 0;
    for (int i = 0; i < SIZE; i++) {
        w[i] = (float)(2 * test_random(&seed) - 1);
        x[i] = (float)(floor(256 * test_random(&seed)) / 255);
        sum += (double)w[i] * (double)x[i];
    }
    b = (float)(f - sum);
    return linear_model(1, HEIGHT, WIDTH, 1, w, &b, "Sigmoid", NULL);
}

/* ---- gradients ------------------------------------------------------------------------------ */

/* d value / d p along a direction, by differences of what a look sees. */
static double slope_along(struct sal_search *s, const float *p, const float *v,
                          enum sal_loss loss)
{
    static float at[N], g[N];
    const double h = 1.0 / 4096;
    double value[2];
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < s->space.n; i++)
            at[i] = (float)((double)p[i] + (side ? h : -h) * (double)v[i]);
        struct sal_look look = {.p = at, .gradient = g, .loss = loss};
        must(sal_search_look(s, &look, 1, err));
        value[side] = look.value;
    }
    return (value[1] - value[0]) / (2 * h);
}

static void gradients_are_those_of_what_is_seen(void **state)
{
    (void)state;
    static const enum network kinds[] = {SMOOTH, SMOOTH_NHWC};
    static float p[N], v[N], g[N];
    uint64_t draws = 3;
    for (int kind = 0; kind < 2; kind++)
        for (int ask = 0; ask < 12; ask++) {
            struct sal_model *model = make_network(kinds[kind], "imagenet");
            struct sal_probe_question question = {
                .model = model, .x = an_image(), .class_index = 1, .grey = ask >= 6};
            struct sal_probe_answer answer = {0};
            struct sal_search s;
            must(sal_search_init(&s, sal_probe_find("pgd"), &question, &answer, err));
            s.decision.create = ask / 3 % 2;
            double length = 0, along = 0;
            for (int64_t i = 0; i < s.space.n; i++) {
                p[i] = (float)(0.3 + 0.4 * test_random(&draws));
                v[i] = (float)(test_random(&draws) - 0.5);
            }
            enum sal_loss loss = (enum sal_loss)(ask % 3);
            struct sal_look look = {.p = p, .gradient = g, .loss = loss};
            must(sal_search_look(&s, &look, 1, err));
            for (int64_t i = 0; i < s.space.n;
                 i++) /* towards the gradient, so that it is seen */
                v[i] += (float)(g[i] > 0) - (float)(g[i] < 0);
            for (int64_t i = 0; i < s.space.n; i++) {
                along += (double)g[i] * (double)v[i];
                length += fabs((double)g[i]);
            }
            double seen = slope_along(&s, p, v, loss);
            if (!(fabs(seen - along) <= 0.01 * length && length > 0))
                fail_msg("loss %d: %g by differences, %g by the gradient", loss, seen,
                         along);
            sal_search_release(&s);
            sal_model_close(model);
        }
}

/* A slope that overflows on its way to the picture leads nowhere. */
static void what_is_not_finite_is_no_slope(void **state)
{
    (void)state;
    static float dx[N], g[N];
    struct sal_model *model = make_network(SMOOTH, "imagenet");
    struct sal_probe_question question = {.model = model, .x = an_image()};
    struct sal_space space;
    must(sal_space_init(&space, &question, err));
    for (int i = 0; i < N; i++)
        dx[i] = i % 3 == 0 ? 1 : i % 3 == 1 ? 3e38F : -NAN;
    sal_space_gradient(&space, dx, g);
    for (int i = 0; i < N; i++)
        assert_true(i % 3 == 0 ? g[i] > 0 : g[i] == 0);
    sal_space_release(&space);
    sal_model_close(model);
}

/* ---- brackets --------------------------------------------------------------------------------- */

/* f of the point that far along the way to the answer. */
static double f_at(const struct sal_model *model, const float *x,
                   const struct sal_probe_answer *a, double t, int64_t n)
{
    static float at[N];
    struct sal_run *run = NULL;
    struct sal_decision d;
    for (int64_t i = 0; i < n; i++)
        at[i] = (float)((double)x[i] + t * ((double)a->x[i] - (double)x[i]));
    must(sal_decision_init(&d, model, 0, err));
    must(sal_run_open(&run, model, &(struct sal_run_options){0}, err));
    must(sal_run_forward(run, at, NULL, err));
    double f =
        sal_decision_f(&d, sal_run_value(run, sal_model_output(model)->value, NULL));
    sal_run_close(run);
    return a->goal == SAL_GOAL_CREATE ? -f : f;
}

static void both_ends_of_a_bracket_are_what_they_say(void **state)
{
    (void)state;
    static const char *const names[] = {"mineps", "fmn", "deepfool"};
    for (int round = 0; round < 4; round++)
        for (int norm = 0; norm < 2; norm++)
            for (int k = 0; k < 3; k++) {
                float x[SIZE];
                char settings[32];
                struct sal_model *model =
                    make_half(round % 2 ? 0.4 : -0.4, 5 + round, x);
                snprintf(settings, sizeof(settings), "norm=%s", sal_norm_names[norm]);
                struct sal_probe_answer a = probe_of(
                    model, x, names[k], (struct probing){.settings = settings});
                double low = a.bracket[0] / a.bracket[1];
                assert_true(a.flipped && low > 0 && low < 1 &&
                            1 - low <= ldexp(1, -12));
                assert_true(f_at(model, x, &a, 1, SIZE) <= 0);
                assert_true(f_at(model, x, &a, low, SIZE) > 0);
                assert_true(a.bracket[1] ==
                            (norm == SAL_LINF ? a.distance.linf : a.distance.l2));
                sal_probe_answer_release(&a);
                sal_model_close(model);
            }
}

/* From a flip far beyond the boundary, which no polish has brought near. */
static void a_bracket_is_found_wherever_the_boundary_is(void **state)
{
    (void)state;
    for (int beyond = 1; beyond <= 400; beyond *= 20) {
        float x[SIZE], far[SIZE];
        struct sal_model *model = make_half(0.02, 5, x);
        struct sal_probe_question question = {.model = model, .x = x};
        struct sal_probe_answer answer = {0};
        struct sal_search s;
        must(sal_search_init(&s, sal_probe_find("fmn"), &question, &answer, err));
        s.margin0 = 0.02;
        sal_search_aim(&s, (struct sal_ball){SAL_L2, INFINITY});
        must(sal_estimate(&s, far, err));
        for (int i = 0; i < SIZE; i++) {
            double step = (1 + 0.002 * beyond) * ((double)far[i] - (double)x[i]);
            far[i] = (float)fmin(1, fmax(0, (double)x[i] + step));
        }
        must(sal_search_look(&s, &(struct sal_look){.p = far}, 1, err));
        double whole = s.nearest;
        assert_true(isfinite(whole));
        must(sal_polish(&s, NULL, 0, true, err));
        struct sal_probe_answer ray = {.x = far, .goal = SAL_GOAL_HIDE};
        assert_true(answer.bracket[1] < whole);
        assert_true(answer.bracket[1] - answer.bracket[0] <= ldexp(answer.bracket[1], -12));
        assert_true(f_at(model, x, &ray, answer.bracket[0] / whole, SIZE) > 0);
        assert_true(f_at(model, x, &ray, answer.bracket[1] / whole * (1 + 1e-6), SIZE) <= 0);
        for (int i = 0; i < answer.n_series; i++) {
            free(answer.series[i].x);
            free(answer.series[i].y);
        }
        sal_search_release(&s);
        sal_model_close(model);
    }
}

/* First order promises a flip at 1e-20, there is none anywhere: doubling comes to its end. */
static void bisection_ends_however_small_it_begins(void **state)
{
    (void)state;
    static const float u[] = {-1e20F, 0, 0, 0}, v[] = {0}, w[] = {1}, b[] = {1e-3F};
    static const float x[] = {1e-20F, 0.5F, 0.5F, 0.5F};
    struct sal_model *model = hidden_model(2, 2, 1, "Sigmoid", u, v, 1, w, b, "Sigmoid");
    struct sal_probe_answer a =
        probe_of(model, x, "mineps", (struct probing){.settings = "attack=fgsm control=0"});
    assert_true(a.estimate > 0 && a.estimate < 1e-19);
    assert_false(a.flipped);
    assert_true(a.bracket[0] == 1);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

/* So near that first order says 0, in floats: bisection begins somewhere nevertheless. */
static void a_decision_by_a_hair_is_bisected(void **state)
{
    (void)state;
    float w[SIZE], x[SIZE], b = 1e-9F;
    for (int i = 0; i < SIZE; i++) {
        w[i] = i % 2 ? 1 : -1;
        x[i] = 0.5F;
    }
    struct sal_model *model = linear_model(1, HEIGHT, WIDTH, 1, w, &b, "Sigmoid", NULL);
    for (int norm = 0; norm < 2; norm++) {
        char settings[64];
        snprintf(settings, sizeof(settings), "attack=pgd norm=%s", sal_norm_names[norm]);
        struct sal_probe_answer a =
            probe_of(model, x, "mineps", (struct probing){.settings = settings});
        assert_true(a.flipped && a.estimate <= 1e-8);
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

/* What a search of small norms answers is the nearest flip that any of its attacks has seen. */
static void the_answer_is_the_nearest_of_all(void **state)
{
    (void)state;
    static const char *const asks[][2] = {{"mineps", "norm=l2"}, {"mineps", "norm=linf"},
                                          {"fmn", "norm=l2"},    {"ddn", ""},
                                          {"deepfool", "norm=linf"}};
    enum { INPUTS = 16, HIDDEN = 24, ASKS = sizeof(asks) / sizeof(*asks) };
    uint64_t draws = 21;
    for (int round = 0; round < 12; round++) {
        float u[INPUTS * HIDDEN], v[HIDDEN], w[HIDDEN], x[INPUTS], b = 0.1F;
        for (int i = 0; i < INPUTS * HIDDEN; i++)
            u[i] = (float)(4 * test_random(&draws) - 2);
        for (int i = 0; i < HIDDEN; i++) {
            v[i] = (float)(2 * test_random(&draws) - 1);
            w[i] = (float)(2 * test_random(&draws) - 1);
        }
        for (int i = 0; i < INPUTS; i++)
            x[i] = (float)test_random(&draws);
        struct sal_model *model = mlp_model(INPUTS, HIDDEN, u, v, 1, w, &b, "Sigmoid");
        for (int i = 0; i < ASKS; i++) {
            struct sal_probe_answer a =
                probe_of(model, x, asks[i][0], (struct probing){.settings = asks[i][1]});
            const struct sal_series *seen = sal_probe_series(&a, "trajectory");
            double got = a.norm == SAL_LINF ? a.distance.linf : a.distance.l2;
            assert_non_null(seen);
            if (a.flipped && !(got <= seen->y[seen->n - 1] * (1 + 1e-4)))
                fail_msg("%s %s: %g, and %g was seen", asks[i][0], asks[i][1], got,
                         seen->y[seen->n - 1]);
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
}

/* ---- files ---------------------------------------------------------------------------------------- */

/* Written as PNG, read, prepared and decided: as the answer tells it. */
static void assert_is_kept(const struct sal_model *model,
                           const struct sal_probe_answer *a,
                           const struct sal_saved *saved)
{
    struct sal_image image, read;
    struct sal_buffer png = {0};
    struct sal_run *run = NULL;
    struct sal_decision d;
    float x[SIZE];
    double most = 0;
    must(sal_probe_picture(a, model, saved->white, saved->scale, &image, err));
    must(sal_image_encode_png(&image, 0, NULL, 0, &png, err));
    must(sal_image_decode(&read, (struct sal_span){png.data, png.size}, "a.png",
                          SAL_SANDBOX_OFF, err));
    assert_int_equal(read.max, saved->white);
    assert_memory_equal(read.samples, image.samples, SIZE * sizeof(*image.samples));
    for (int i = 0; i < SIZE; i++) {
        double given = (double)a->picture[i] - (double)a->change[i];
        double wanted = given + saved->scale * (double)a->change[i];
        most = fmax(most, fabs((double)read.samples[i] / saved->white - given));
        wanted = fmin(fmax(wanted, 0), 1) * saved->white;
        assert_true(fabs(read.samples[i] - wanted) <=
                    0.5001); /* rounded, not cut off */
    }
    assert_true(fabs(most - saved->distance.linf) <= 1e-6);
    must(sal_model_prepare(model, &read, x, err));
    must(sal_decision_init(&d, model, 0, err));
    must(sal_run_open(&run, model, &(struct sal_run_options){0}, err));
    must(sal_run_forward(run, x, NULL, err));
    const float *logits = sal_run_value(run, sal_model_output(model)->value, NULL);
    assert_true(sal_decision_f(&d, logits) == saved->f);
    assert_true((sal_decision_called(&d, logits) == (a->goal == SAL_GOAL_CREATE)) ==
                saved->flipped);
    assert_true(saved->survives == (saved->flipped && saved->scale == 1));
    sal_run_close(run);
    sal_image_release(&read);
    sal_image_release(&image);
    sal_buffer_release(&png);
}

/* A change of less than half a level is undone by rounding, always; a large one is not.
 */
static void what_a_file_keeps_is_what_is_told(void **state)
{
    (void)state;
    int survived = 0, undone = 0;
    for (int round = 0; round < 12; round++) {
        float x[SIZE];
        struct sal_model *model = make_half(0.02 * (round * round + 1), 40 + round, x);
        struct sal_probe_answer a =
            probe_of(model, x, "mineps", (struct probing){.white = 255});
        assert_true(a.flipped && a.stored.white == 255 && a.deep.white == 65535);
        assert_is_kept(model, &a, &a.stored);
        assert_is_kept(model, &a, &a.deep);
        assert_true(!a.stored.survives || a.distance.linf > 0.4999 / 255);
        survived += a.stored.survives;
        undone += !a.stored.survives;
        sal_probe_answer_release(&a);
        sal_model_close(model);
    }
    assert_true(survived > 0 && undone > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_what_is_seen),
        cmocka_unit_test(what_is_not_finite_is_no_slope),
        cmocka_unit_test(a_bracket_is_found_wherever_the_boundary_is),
        cmocka_unit_test(bisection_ends_however_small_it_begins),
        cmocka_unit_test(both_ends_of_a_bracket_are_what_they_say),
        cmocka_unit_test(a_decision_by_a_hair_is_bisected),
        cmocka_unit_test(the_answer_is_the_nearest_of_all),
        cmocka_unit_test(what_a_file_keeps_is_what_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
