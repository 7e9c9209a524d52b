/* Maps before and after a probe, and under noise: against the same made by hand, one by one. */
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
#include "random.h"
#include "saliscope/stability.h"
#include "small_network.h"

/* ---- asking ---------------------------------------------------------------------------------- */

/* A probe and a method beside it, each with settings. */
struct both {
    const char *probe, *probe_settings, *method, *method_settings, *settings;
    int c, threads, batch;
    uint64_t seed;
    struct sal_job *job;
};

static void set_all(struct sal_params *params, const struct sal_param *list, const char *settings)
{
    char text[200];
    sal_params_init(params, list);
    snprintf(text, sizeof(text), "%s", settings ? settings : "");
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        must(sal_params_set(params, list, word, "test", err));
}

static void ask_both(const struct sal_model *model, const float *x, struct both how,
                     struct sal_probe_answer *answer, struct sal_stability *maps)
{
    const struct sal_probe *probe = sal_probe_find(how.probe);
    const struct sal_method *method = sal_method_find(how.method);
    struct sal_params of_probe, of_method, of_maps;
    set_all(&of_probe, probe->params, how.probe_settings);
    set_all(&of_method, method->params, how.method_settings);
    set_all(&of_maps, sal_stability_params, how.settings);
    struct sal_pool *pool = NULL;
    if (how.threads)
        must(sal_pool_open(&pool, how.threads, err));
    struct sal_probe_question question = {.model = model,
                                          .x = x,
                                          .class_index = how.c,
                                          .params = &of_probe,
                                          .batch = how.batch,
                                          .seed = how.seed,
                                          .pool = pool,
                                          .job = how.job};
    struct sal_stability_question beside = {.probed = &question,
                                            .method = method,
                                            .method_params = &of_method,
                                            .layer = -1,
                                            .params = &of_maps};
    must(sal_stability_begin(&beside, maps, err));
    must(sal_probe_run(probe, &question, answer, err));
    must(sal_stability_finish(&beside, probe, answer, maps, err));
    sal_pool_close(pool);
}

static void release(struct sal_probe_answer *answer, struct sal_stability *maps)
{
    sal_probe_answer_release(answer);
    sal_stability_release(maps);
}

static const float *a_picture(uint64_t draws)
{
    static float x[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)test_random(&draws);
    return x;
}

static struct sal_map map_by_hand(const struct sal_model *model, const float *x, int c,
                                  const char *name)
{
    struct sal_map map;
    struct sal_question question = {.model = model, .x = x, .class_index = c, .layer = -1};
    must(sal_explain(sal_method_find(name), &question, &map, err));
    return map;
}

/* The draw that noise number i is, as a map's agreement with the first. */
static struct sal_map noised_by_hand(const struct sal_model *model, const float *x, int c,
                                     const char *name, enum sal_norm norm, double eps,
                                     bool uniform, int i)
{
    static float noised[N];
    struct sal_probe_question question = {.model = model, .x = x, .class_index = c, .seed = 5};
    must(sal_probe_noised(&question, norm, eps, uniform, (uint64_t)i, noised, err));
    return map_by_hand(model, noised, c, name);
}

/* ---- noise --------------------------------------------------------------------------------------- */

static void noise_has_its_norm_and_stays_in_range(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    static float x[N], got[N], again[N], other[N];
    memcpy(x, a_picture(3), sizeof(x));
    x[0] = 0;
    x[1] = 1;
    static uint8_t mask[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        mask[i] = i % 5 > 0;
    struct sal_probe_question question = {.model = model, .x = x, .mask = mask, .seed = 2};
    for (int kind = 0; kind < 3; kind++) {
        const enum sal_norm norm = kind == 1 ? SAL_L2 : SAL_LINF;
        const double eps = kind == 1 ? 1.5 : 0.03;
        double most = 0, squares = 0;
        int small = 0;
        must(sal_probe_noised(&question, norm, eps, kind == 2, 7, got, err));
        must(sal_probe_noised(&question, norm, eps, kind == 2, 7, again, err));
        must(sal_probe_noised(&question, norm, eps, kind == 2, 8, other, err));
        assert_memory_equal(got, again, sizeof(got));
        assert_true(memcmp(got, other, sizeof(got)) != 0);
        for (int i = 0; i < N; i++) {
            double step = fabs((double)got[i] - (double)x[i]);
            assert_true(got[i] >= 0 && got[i] <= 1);
            assert_true(mask[i % PIXELS] || step == 0);
            most = fmax(most, step);
            squares += step * step;
            small += mask[i % PIXELS] && step < 0.5 * eps;
        }
        if (kind == 1)
            assert_true(sqrt(squares) <= eps && sqrt(squares) > 0.999 * eps);
        else
            assert_true(most <= eps && most > 0.9 * eps);
        if (kind != 1) /* a coin for each, or anything between */
            assert_true(kind == 0 ? small < 0.06 * N : small > 0.3 * N);
    }
    sal_model_close(model);
}

/* ---- before and after ------------------------------------------------------------------------------ */

static void assert_like(const struct sal_map_agreement *a, const struct sal_map_agreement *b)
{
    assert_int_equal(a->top, b->top);
    for (const struct sal_measure *m = sal_measures; m->name; m++) {
        double x = sal_measure_of(a, m), y = sal_measure_of(b, m);
        assert_true(fabs(x - y) <= 1e-12 || (isnan(x) && isnan(y)));
    }
}

static struct sal_map_agreement agreement_of(const struct sal_map *a, const struct sal_map *b)
{
    struct sal_map_agreement agreement;
    must(sal_map_agreement_of(a->values, b->values, a->height, a->width, 0.1, &agreement, err));
    return agreement;
}

/* Of flips, of what holds, of methods of either kind, of either norm. */
static void comparisons_are_those_made_by_hand(void **state)
{
    (void)state;
    static const struct both asks[] = {
        {.probe = "pgd", .probe_settings = "eps=0.3 steps=10", .method = "gradient"},
        {.probe = "ddn", .probe_settings = "steps=20", .method = "inputxgradient"},
        {.probe = "explanation", .probe_settings = "eps=0.1 steps=10", .method = "gradient"},
        {.probe = "fmn", .probe_settings = "steps=20", .method = "hirescam"},
    };
    struct sal_model *model = make_network(SMOOTH, NULL);
    static float x[N];
    memcpy(x, a_picture(4), sizeof(x));
    const int many = test_some(sizeof(asks) / sizeof(*asks));
    for (int k = 0; k < many; k++) {
        struct both how = asks[k];
        how.c = 1;
        how.seed = 5;
        how.settings = "draws=3 sensitivity=4 top=0.1 radius=0.05";
        struct sal_probe_answer a;
        struct sal_stability maps;
        ask_both(model, x, how, &a, &maps);
        assert_true(a.found && maps.altered && !maps.partial);
        assert_true(maps.decision_held == !a.flipped);
        assert_true(a.flipped == (strcmp(how.probe, "explanation") != 0));
        assert_true(maps.score_change == fabs(a.score_after - a.score_before));
        struct sal_map before = map_by_hand(model, x, 1, how.method);
        struct sal_map after = map_by_hand(model, a.x, 1, how.method);
        struct sal_map_agreement want = agreement_of(&before, &after), mean = {0};
        assert_memory_equal(before.values, maps.before.values, PIXELS * sizeof(float));
        assert_memory_equal(after.values, maps.after.values, PIXELS * sizeof(float));
        assert_like(&maps.agreement, &want);
        const enum sal_norm norm = strcmp(how.probe, "ddn") == 0 ? SAL_L2 : SAL_LINF;
        const double eps = norm == SAL_L2 ? a.distance.l2 : a.distance.linf;
        assert_true(maps.noise.n == 3 && maps.noise.norm == norm && maps.noise.eps == eps);
        double low = 1, sensitivity = 0;
        for (int i = 0; i < 3; i++) {
            struct sal_map noised =
                noised_by_hand(model, x, 1, how.method, norm, eps, false, i);
            struct sal_map_agreement one = agreement_of(&before, &noised);
            mean.top = one.top;
            for (const struct sal_measure *m = sal_measures; m->name; m++)
                *sal_measure_in(&mean, m) += sal_measure_of(&one, m) / 3;
            low = fmin(low, one.overlap);
            sal_map_release(&noised);
        }
        assert_like(&maps.noise.mean, &mean);
        assert_true(maps.noise.overlap_low == low && maps.noise.overlap_high >= mean.overlap);
        for (int i = 0; i < 4; i++) {
            struct sal_map noised =
                noised_by_hand(model, x, 1, how.method, SAL_LINF, 0.05, true, i);
            double change = 0, length = 0;
            for (int p = 0; p < PIXELS; p++) {
                change += pow((double)noised.values[p] - (double)before.values[p], 2);
                length += pow((double)before.values[p], 2);
            }
            sensitivity = fmax(sensitivity, sqrt(change / length));
            sal_map_release(&noised);
        }
        assert_true(maps.sensitivity_draws == 4);
        assert_true(fabs(maps.sensitivity_max - sensitivity) <= 1e-12);
        sal_map_release(&before);
        sal_map_release(&after);
        release(&a, &maps);
    }
    sal_model_close(model);
}

/* The map of w x under noise d is w (x + d), that of w is w: known without this program. */
static void sensitivity_of_a_straight_model_is_known(void **state)
{
    (void)state;
    float w[N], b = 0.4F;
    static float x[N], noised[N];
    for (int i = 0; i < N; i++)
        w[i] = (float)sin(i + 1.0);
    memcpy(x, a_picture(8), sizeof(x));
    struct sal_model *model = linear_model(C, H, W, 1, w, &b, "Sigmoid", NULL);
    struct sal_probe_answer a;
    struct sal_stability maps;
    struct both how = {.probe = "fgsm", .probe_settings = "eps=0.01 control=0",
                       .method = "gradient", .settings = "draws=2 sensitivity=3"};
    ask_both(model, x, how, &a, &maps);
    assert_true(maps.sensitivity_max <= 1e-6 && (!maps.altered || maps.agreement.overlap == 1));
    release(&a, &maps);
    how.method = "inputxgradient";
    ask_both(model, x, how, &a, &maps);
    struct sal_probe_question question = {.model = model, .x = x};
    double most = 0;
    for (uint64_t i = 0; i < 3; i++) {
        double change = 0, length = 0;
        must(sal_probe_noised(&question, SAL_LINF, 0.02, true, i, noised, err));
        for (int p = 0; p < PIXELS; p++) {
            double moved = 0, was = 0;
            for (int c = 0; c < C; c++) {
                int at = c * PIXELS + p;
                moved += (double)w[at] * ((double)noised[at] - (double)x[at]);
                was += (double)w[at] * (double)x[at];
            }
            change += moved * moved;
            length += was * was;
        }
        most = fmax(most, sqrt(change / length));
    }
    assert_true(fabs(maps.sensitivity_max / most - 1) <= 1e-5);
    release(&a, &maps);
    sal_model_close(model);
}

/* ---- what is not there --------------------------------------------------------------------------------- */

static void where_nothing_was_altered_nothing_is_compared(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_probe_answer a;
    struct sal_stability maps;
    ask_both(model, a_picture(4), (struct both){.probe = "pgd", .probe_settings = "eps=0",
                                                .method = "gradient", .c = 1}, &a, &maps);
    assert_true(!maps.altered && maps.decision_held && maps.score_change == 0);
    assert_true(!maps.after.values && maps.before.values && isnan(maps.agreement.overlap));
    assert_true(maps.noise.n == 0 && isnan(maps.noise.mean.spearman));
    assert_true(maps.sensitivity_draws == 10 && maps.sensitivity_max > 0);
    release(&a, &maps);
    sal_model_close(model);
}

static void what_a_map_costs_says_how_many_are_made(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_probe_answer a;
    struct sal_stability maps;
    struct both how = {.probe = "pgd", .probe_settings = "eps=0.3 control=0", .c = 1};
    how.method = "gradient";
    ask_both(model, a_picture(4), how, &a, &maps);
    assert_true(maps.noise.n == 8 && maps.sensitivity_draws == 10);
    assert_int_equal(maps.forwards, 1 + 1 + 8 + 10);
    release(&a, &maps);
    how.method = "ig";
    how.method_settings = "steps=32";
    ask_both(model, a_picture(4), how, &a, &maps);
    assert_true(maps.noise.n == 2 && maps.sensitivity_draws == 0);
    assert_true(isnan(maps.sensitivity_max) && maps.before.params.value[0] == 32);
    release(&a, &maps);
    sal_model_close(model);
}

static void the_same_seed_gives_the_same_maps(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct both how = {.probe = "explanation", .probe_settings = "eps=0.05 steps=5 draws=2",
                       .method = "smoothgrad", .method_settings = "samples=5",
                       .settings = "draws=3 sensitivity=3", .seed = 3, .c = 1};
    struct sal_probe_answer a, b;
    struct sal_stability first, other;
    ask_both(model, a_picture(4), how, &a, &first);
    assert_true(first.altered && first.noise.n == 3);
    for (int i = 0; i < test_some(3); i++) {
        how.threads = i + 1;
        how.batch = (int[]){1, 3, 8}[i];
        ask_both(model, a_picture(4), how, &b, &other);
        assert_memory_equal(&first.agreement, &other.agreement, sizeof(first.agreement));
        assert_memory_equal(&first.noise.mean, &other.noise.mean, sizeof(first.noise.mean));
        assert_memory_equal(&first.sensitivity_max, &other.sensitivity_max, sizeof(double));
        release(&b, &other);
    }
    how.seed = 4;
    ask_both(model, a_picture(4), how, &b, &other);
    assert_true(first.noise.mean.pearson != other.noise.mean.pearson);
    assert_true(first.sensitivity_max != other.sensitivity_max);
    release(&b, &other);
    release(&a, &first);
    sal_model_close(model);
}

/* ---- stopping --------------------------------------------------------------------------------------------- */

static void what_is_stopped_keeps_what_was_finished(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_params params;
    set_all(&params, sal_stability_params, "draws=5");
    struct sal_job job = {0};
    struct sal_probe_question question = {
        .model = model, .x = a_picture(4), .class_index = 1, .job = &job};
    struct sal_stability_question beside = {.probed = &question,
                                            .method = sal_method_find("gradient"),
                                            .layer = -1,
                                            .params = &params};
    struct sal_stability maps;
    struct sal_probe_answer a;
    must(sal_stability_begin(&beside, &maps, err));
    must(sal_probe_run(sal_probe_find("fmn"), &question, &a, err));
    sal_job_cancel(&job);
    must(sal_stability_finish(&beside, sal_probe_find("fmn"), &a, &maps, err));
    assert_true(maps.partial && maps.altered && maps.before.values && !maps.after.values);
    assert_true(maps.noise.n == 0 && isnan(maps.agreement.overlap));
    release(&a, &maps);
    struct sal_error err;
    assert_int_equal(sal_stability_begin(&beside, &maps, &err), SAL_CANCELLED);
    sal_model_close(model);
}

static void a_method_that_cannot_be_asked_is_told_first(void **state)
{
    (void)state;
    float w[N], b = 0;
    for (int i = 0; i < N; i++)
        w[i] = 0.01F;
    struct sal_model *model = linear_model(C, H, W, 1, w, &b, "Sigmoid", NULL);
    struct sal_probe_question question = {.model = model, .x = a_picture(4)};
    struct sal_stability_question beside = {
        .probed = &question, .method = sal_method_find("gradcam"), .layer = -1};
    struct sal_stability maps;
    struct sal_error err;
    assert_int_equal(sal_stability_begin(&beside, &maps, &err), SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "feature map"));
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_has_its_norm_and_stays_in_range),
        cmocka_unit_test(comparisons_are_those_made_by_hand),
        cmocka_unit_test(sensitivity_of_a_straight_model_is_known),
        cmocka_unit_test(where_nothing_was_altered_nothing_is_compared),
        cmocka_unit_test(what_a_map_costs_says_how_many_are_made),
        cmocka_unit_test(the_same_seed_gives_the_same_maps),
        cmocka_unit_test(what_is_stopped_keeps_what_was_finished),
        cmocka_unit_test(a_method_that_cannot_be_asked_is_told_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
