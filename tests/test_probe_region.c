/* What is left of a picture without a region, beside the same elsewhere, on models
 * whose answers are sums. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "places.h"
#include "region_model.h"
#include "small_network.h"

static double f_of(const struct plain *m, const double *p)
{
    double f = (double)m->b;
    for (int i = 0; i < SIZE; i++)
        f += (double)m->w[i] * p[i];
    return f;
}

/* ---- trials -------------------------------------------------------------------------------- */

/* f of the picture with a hole filled black or with the mean of the rest. */
static double f_without(const struct plain *m, const bool *hole, bool black)
{
    double p[SIZE], mean = 0;
    int rest = 0;
    for (int i = 0; i < SIZE; i++)
        if (!hole[i]) {
            mean += (double)m->x[i];
            rest++;
        }
    for (int i = 0; i < SIZE; i++)
        p[i] = !hole[i] ? (double)m->x[i] : black ? 0 : mean / rest;
    return f_of(m, p);
}

static void expect_f(const struct sal_probe_answer *a, const char *title, double want)
{
    const struct sal_trial *trial = trial_of(a, title);
    if (!(fabs(trial->f - want) <= 2e-5))
        fail_msg("%s: %.8g, not %.8g", title, trial->f, want);
    assert_true(fabs(trial->score - 1 / (1 + exp(-want))) <= 1e-5);
    assert_int_equal(trial->flips, (trial->f >= 0) != (a->f_before >= 0));
    assert_int_equal(trial->draws, 1);
}

static void a_picture_without_a_region_is_that(void **state)
{
    (void)state;
    for (int black = 0; black < 2; black++) {
        struct plain m = make_plain(5, black ? 0.7 : -0.4);
        struct sal_probe_answer a = probe_of(
            m.model, m.x, "region",
            (struct probing){.settings = black ? "fill=black corner=30 centre=40"
                                               : "fill=mean corner=30 centre=40",
                             .roi = m.roi});
        const struct {
            const char *title;
            int box[4]; /* of the hole; all of it but that: */
            bool all_but;
        } holes[] = {
            {"region removed", {2, 9, 5, 13}, false},
            {"all but the region removed", {2, 9, 5, 13}, true},
            {"borders of 2 % removed", {1, 1, 11, 14}, true},
            {"borders of 5 % removed", {1, 1, 11, 14}, true},
            {"borders of 10 % removed", {1, 2, 11, 13}, true},
            {"borders of 20 % removed", {2, 3, 10, 12}, true},
            {"top left corner of 30 % removed", {0, 0, 4, 5}, false},
            {"top right corner of 30 % removed", {0, 10, 4, 15}, false},
            {"bottom left corner of 30 % removed", {8, 0, 12, 5}, false},
            {"bottom right corner of 30 % removed", {8, 10, 12, 15}, false},
            {"all but the centre of 40 % removed", {3, 4, 8, 10}, true},
        };
        for (size_t k = 0; k < sizeof(holes) / sizeof(*holes); k++) {
            const int *box = holes[k].box;
            bool hole[SIZE];
            int area = 0;
            for (int i = 0; i < SIZE; i++) {
                hole[i] = in_box(i, box[0], box[1], box[2], box[3]) != holes[k].all_but;
                area += hole[i];
            }
            expect_f(&a, holes[k].title, f_without(&m, hole, black));
            assert_int_equal(trial_of(&a, holes[k].title)->distance.changed, area);
        }
        double lost = m.f - trial_of(&a, "region removed")->f;
        assert_true(fabs(fact_of(&a, "effect") - (m.f > 0 ? lost : -lost)) <= 1e-5);
        assert_true(fabs(fact_of(&a, "area_share") - 12.0 / SIZE) <= 1e-12);
        sal_probe_answer_release(&a);
        sal_model_close(m.model);
    }
}

static void a_region_moves_or_is_pasted(void **state)
{
    (void)state;
    struct plain m = make_plain(6, 0.5);
    struct sal_probe_answer a =
        probe_of(m.model, m.x, "region",
                 (struct probing){.settings = "fill=black dx=1 dy=-2", .roi = m.roi});
    /* asked for, then to the mirrored column, the mirrored row, both: 2 <-> 7, 9 <-> 2
     */
    static const int ways[][2] = {{1, -2}, {-7, 0}, {0, 5}, {-7, 5}};
    for (int k = 0; k < 4; k++)
        for (int paste = 0; paste < 2; paste++) {
            double p[SIZE];
            char title[80];
            for (int i = 0; i < SIZE; i++)
                p[i] = m.roi[i] && !paste ? 0 : (double)m.x[i];
            for (int i = 0; i < SIZE; i++)
                if (m.roi[i])
                    p[i + ways[k][1] * COLUMNS + ways[k][0]] = (double)m.x[i];
            snprintf(title, sizeof(title),
                     paste ? "region pasted %d,%d away" : "region moved by %d,%d",
                     ways[k][0], ways[k][1]);
            expect_f(&a, title, f_of(&m, p));
        }
    assert_int_equal(a.n_trials, 2 + 8 + 9 + 1);
    sal_probe_answer_release(&a);
    sal_model_close(m.model);
}

/* Of what flips it is the nearest, in l2. */
static void the_answer_is_the_nearest_flip_that_was_tried(void **state)
{
    (void)state;
    int flips = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct plain m = make_plain(seed, seed % 2 ? 0.3 : -0.3);
        struct sal_probe_answer a =
            probe_of(m.model, m.x, "region",
                     (struct probing){.settings = "fill=black", .roi = m.roi});
        double nearest = INFINITY;
        for (int i = 0; i < a.n_trials; i++)
            if (a.trials[i].flips && strcmp(a.trials[i].name, "random") != 0)
                nearest = fmin(nearest, a.trials[i].distance.l2);
        assert_true(a.flipped == isfinite(nearest));
        assert_true(!a.flipped || a.distance.l2 == nearest);
        assert_answer_is_honest(m.model, m.x, 0, &a);
        flips += a.flipped;
        sal_probe_answer_release(&a);
        sal_model_close(m.model);
    }
    assert_true(flips > 2);
}

/* Two pictures that differ inside of the region alone; their rest filled, or the
 * region. */
static void no_filling_knows_what_was_there(void **state)
{
    (void)state;
    static const char *const fills[] = {"mean", "black", "blur", "noise"};
    for (int k = 0; k < 4; k++) {
        double f[2][2];
        for (int other = 0; other < 2; other++) {
            struct plain m = make_plain(8, 0.5);
            char settings[64];
            for (int i = 0; i < SIZE; i++)
                if (m.roi[i])
                    m.x[i] = other ? 0.05F * (float)(i % 3) : m.x[i];
            snprintf(settings, sizeof(settings), "fill=%s sigma=2", fills[k]);
            struct sal_probe_answer a =
                probe_of(m.model, m.x, "region",
                         (struct probing){.settings = settings, .roi = m.roi});
            f[other][0] = trial_of(&a, "region removed")->f;
            for (int i = 0; i < SIZE; i++) /* the rest, of the first picture's region */
                if (!m.roi[i])
                    m.x[i] = other ? 0.9F : m.x[i];
                else
                    m.x[i] = 0.3F + 0.01F * (float)(i % 5);
            sal_probe_answer_release(&a);
            a = probe_of(m.model, m.x, "region",
                         (struct probing){.settings = settings, .roi = m.roi});
            f[other][1] = trial_of(&a, "all but the region removed")->f;
            sal_probe_answer_release(&a);
            sal_model_close(m.model);
        }
        assert_memory_equal(&f[0], &f[1], sizeof(f[0]));
    }
}

/* An even picture stays even, whatever is blurred or averaged into it. */
static void an_even_picture_has_no_holes(void **state)
{
    (void)state;
    for (int blur = 0; blur < 2; blur++) {
        struct plain m = make_plain(3, 0.5);
        for (int i = 0; i < SIZE; i++)
            m.x[i] = 0.6F;
        struct sal_probe_answer a =
            probe_of(m.model, m.x, "region",
                     (struct probing){.settings = blur ? "fill=blur" : "fill=mean",
                                      .roi = m.roi});
        for (int i = 0; i < a.n_trials; i++) {
            assert_true(a.trials[i].distance.linf <= 1e-6);
            assert_true(fabs(a.trials[i].f - a.f_before) <= 1e-5);
        }
        sal_probe_answer_release(&a);
        sal_model_close(m.model);
    }
}

/* A picture that is a ramp around the region is one inside too, but for the ends. */
static void a_blur_goes_on_from_what_is_around(void **state)
{
    (void)state;
    struct plain m = make_plain(3, 0.5);
    static uint8_t roi[SIZE];
    for (int i = 0; i < SIZE; i++) {
        m.x[i] = 0.1F + 0.05F * (float)(i % COLUMNS);
        roi[i] = in_box(i, 5, 6, 7, 9); /* in the middle: column 7 is its middle too */
        m.w[i] = in_box(i, 5, 7, 6, 8);
    }
    m.b = -0.05F;
    plain_reopen(&m);
    struct sal_probe_answer a =
        probe_of(m.model, m.x, "region",
                 (struct probing){.settings = "fill=blur sigma=1.5", .roi = roi});
    double want = 0.1 + 0.05 * 7 - 0.05;
    assert_true(fabs(trial_of(&a, "region removed")->f - want) <= 1e-5);
    sal_probe_answer_release(&a);
    sal_model_close(m.model);
}

/* ---- random regions ------------------------------------------------------------------------ */

/* Effects of black holes of the region's shape wherever they fit beside it: how many
 * there are, and how many have less than the region's. */
static void count_places(const struct plain *m, const uint8_t *shown, int *all,
                         int *below)
{
    double sign = m->f >= 0 ? 1 : -1, own = 0;
    *all = *below = 0;
    for (int i = 0; i < SIZE; i++)
        own += m->roi[i] ? sign * (double)m->w[i] * (double)m->x[i] : 0;
    for (int top = 0; top + 3 <= ROWS; top++)
        for (int left = 0; left + 4 <= COLUMNS; left++) {
            double effect = 0;
            bool fits = true;
            for (int i = 0; i < SIZE; i++)
                if (in_box(i, top, left, top + 3, left + 4)) {
                    effect += sign * (double)m->w[i] * (double)m->x[i];
                    fits = fits && !m->roi[i] && (!shown || shown[i]);
                }
            *all += fits;
            *below += fits && effect < own;
        }
}

static void the_percentile_is_that_of_all_places(void **state)
{
    (void)state;
    static uint8_t shown[SIZE];
    for (int i = 0; i < SIZE; i++)
        shown[i] = in_box(i, 1, 3, 10, 15);
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct plain m = make_plain(seed, seed % 2 ? 0.6 : -0.6);
        const uint8_t *mask = seed % 3 == 2 ? shown : NULL;
        int all, below;
        count_places(&m, mask, &all, &below);
        struct sal_probe_answer a = probe_of(
            m.model, m.x, "region",
            (struct probing){
                .settings = "fill=black draws=1000", .roi = m.roi, .mask = mask});
        assert_true(all > 19);
        assert_true(fact_of(&a, "random_draws") == all);
        assert_true(fact_of(&a, "random_below") == below);
        assert_true(fabs(fact_of(&a, "percentile") - 100.0 * below / all) <= 1e-9);
        assert_true(fabs(fact_of(&a, "p_value") - (1.0 + all - below) / (1.0 + all)) <=
                    1e-9);
        assert_int_equal(a.trials[a.n_trials - 1].draws, all);
        sal_probe_answer_release(&a);
        sal_model_close(m.model);
    }
}

/* Nothing counts but the region: no other place does as much; the picture elsewhere
 * counts and the region does not: every other place does more. */
static void what_alone_counts_is_above_all_others(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        struct plain m = make_plain(4, 0.5);
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            m.w[i] = m.roi[i] == inside ? 1 : 0;
            sum += (double)m.w[i] * (double)m.x[i];
        }
        m.b = (float)(0.1 - sum * 0.1);
        plain_reopen(&m);
        struct sal_probe_answer a =
            probe_of(m.model, m.x, "region",
                     (struct probing){
                         .settings = "fill=black draws=40", .roi = m.roi, .seed = 2});
        assert_true(fact_of(&a, "random_draws") == 40);
        assert_true(fact_of(&a, "percentile") == (inside ? 100 : 0));
        assert_true(!inside || fabs(fact_of(&a, "p_value") - 1.0 / 41) <= 1e-12);
        sal_probe_answer_release(&a);
        sal_model_close(m.model);
    }
}

/* Of eight places three are drawn, each as often as the others. */
static void places_are_drawn_evenly(void **state)
{
    (void)state;
    enum { KEYS = 4000, PLACES = 8, DRAWN = 3 };
    static const uint8_t shape[PLACES + 1] = {[4] = 1};
    int counts[PLACES + 1] = {0};
    for (uint64_t key = 0; key < KEYS; key++) {
        struct sal_places places;
        must(sal_places_draw(&places, shape, NULL, PLACES + 1, 1, DRAWN, key, err));
        assert_true(places.n == DRAWN && places.beside);
        for (int i = 0; i < DRAWN; i++)
            counts[4 + places.shift[i][1]]++;
        sal_places_release(&places);
    }
    const double share = (double)DRAWN / PLACES, sd = sqrt(KEYS * share * (1 - share));
    for (int i = 0; i <= PLACES; i++)
        assert_true(fabs(counts[i] - (i == 4 ? 0 : KEYS * share)) <= 4.5 * sd);
}

static void a_large_region_has_little_to_be_compared_with(void **state)
{
    (void)state;
    struct plain m = make_plain(4, 0.5);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < SIZE; i++)
            m.roi[i] = k ? in_box(i, 0, 1, 12, 15) : in_box(i, 2, 2, 10, 9);
        struct sal_probe_answer a =
            probe_of(m.model, m.x, "region", (struct probing){.roi = m.roi});
        bool told = false;
        for (int i = 0; i < a.n_lights; i++)
            told |= strcmp(a.lights[i].name, "random_places") == 0 && a.lights[i].alarm;
        assert_true(told);
        assert_true(k ? fact_of(&a, "random_draws") == 0
                      : fact_of(&a, "random_draws") > 0);
        sal_probe_answer_release(&a);
    }
    sal_model_close(m.model);
}

/* ---- any network --------------------------------------------------------------------------- */

static void another_seed_draws_other_places(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    const float *x = noisy_input(model, 5);
    double f[2];
    for (int seed = 0; seed < 2; seed++) {
        struct sal_probe_answer a = probe_of(model, x, "region",
                                             (struct probing){.settings = "draws=3",
                                                              .c = 1,
                                                              .roi = holey_region(),
                                                              .seed = (uint64_t)seed});
        f[seed] = a.trials[a.n_trials - 1].f;
        sal_probe_answer_release(&a);
    }
    assert_true(f[0] != f[1]);
    sal_model_close(model);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void what_cannot_be_asked_is_refused(void **state)
{
    (void)state;
    uint8_t full[SIZE], none[SIZE] = {0};
    memset(full, 1, sizeof(full));
    struct plain m = make_plain(2, 0.5);
    const struct {
        const char *name;
        struct probing how;
        const char *words;
    } cases[] = {
        {"shortcut", {0}, "needs a region"},
        {"pgd", {.where = SAL_INSIDE}, "there must be a region"},
        {"region",
         {.where = SAL_OUTSIDE, .roi = m.roi},
         "by itself: leave 'outside' out"},
        {"shortcut", {.where = SAL_INSIDE, .roi = m.roi}, "by itself"},
        {"region", {.settings = "dx=3", .roi = m.roi}, "dx may be -9 to 2"},
        {"region", {.settings = "dy=-3", .roi = m.roi}, "dy -2 to 7"},
        {"region", {.roi = full}, "a region of all"},
        {"pgd", {.roi = none}, "a region of nothing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sal_probe_answer a;
        struct sal_error err = {0};
        assert_int_equal(probe_ask(m.model, m.x, cases[i].name, cases[i].how, &a, &err),
                         SAL_USAGE);
        if (!strstr(err.text, cases[i].words))
            fail_msg("'%s' is not in '%s'", cases[i].words, err.text);
    }
    sal_model_close(m.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_without_a_region_is_that),
        cmocka_unit_test(a_region_moves_or_is_pasted),
        cmocka_unit_test(the_answer_is_the_nearest_flip_that_was_tried),
        cmocka_unit_test(no_filling_knows_what_was_there),
        cmocka_unit_test(an_even_picture_has_no_holes),
        cmocka_unit_test(a_blur_goes_on_from_what_is_around),
        cmocka_unit_test(the_percentile_is_that_of_all_places),
        cmocka_unit_test(what_alone_counts_is_above_all_others),
        cmocka_unit_test(places_are_drawn_evenly),
        cmocka_unit_test(a_large_region_has_little_to_be_compared_with),
        cmocka_unit_test(another_seed_draws_other_places),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
