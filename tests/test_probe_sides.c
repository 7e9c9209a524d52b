/* Pictures altered on one side of a region alone: bit by bit, and on models whose
 * smallest changes are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "image_build.h"
#include "region_model.h"
#include "saliscope/file.h"
#include "saliscope/session.h"
#include "small_network.h"

/* ---- smallest changes on one side ---------------------------------------------------------- */

/* The smallest change that flips within those pixels, in closed form by bisection. */
static double optimum(const struct plain *m, enum sal_norm norm, int side)
{
    double low = 0, high = 1e3, length = 0;
    for (int round = 0; round < 200; round++) {
        double t = (low + high) / 2, taken = 0, squares = 0;
        for (int i = 0; i < SIZE; i++) {
            double w = fabs((double)m->w[i]), step = norm == SAL_LINF ? t : t * w;
            bool down = (m->w[i] > 0) == (m->f > 0);
            double room = down ? (double)m->x[i] : 1 - (double)m->x[i];
            if (side >= 0 && m->roi[i] != side)
                continue;
            step = fmin(step, room);
            taken += w * step;
            squares += step * step;
        }
        *(taken < fabs(m->f) ? &low : &high) = t;
        length = norm == SAL_LINF ? t : sqrt(squares);
    }
    return length;
}

static void smallest_changes_are_found_on_either_side(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++)
        for (int norm = 0; norm < 2; norm++) {
            struct plain m = make_plain(seed, seed % 2 ? 0.8 : -0.8);
            struct sal_probe_answer a = probe_of(
                m.model, m.x, "shortcut",
                (struct probing){.settings = norm ? "norm=l2" : "", .roi = m.roi});
            double want[3],
                got[3] = {fact_of(&a, "eps_outside"), fact_of(&a, "eps_inside"),
                          fact_of(&a, "eps_everywhere")};
            for (int k = 0; k < 3; k++) {
                want[k] = optimum(&m, (enum sal_norm)norm, k == 2 ? -1 : k);
                if (!(got[k] >= want[k] * (1 - 1e-5) && got[k] <= want[k] * 1.01))
                    fail_msg("%s %d: %g, not %g", sal_norm_names[norm], k, got[k],
                             want[k]);
                assert_true(got[2] <= got[k]);
            }
            assert_true(fabs(fact_of(&a, "ratio") - got[0] / got[1]) <= 1e-12);
            double even = 12.0 / (SIZE - 12);
            assert_true(fabs(fact_of(&a, "ratio_even") - (norm ? sqrt(even) : even)) <=
                        1e-12);
            assert_answer_is_honest(m.model, m.x, 0, &a);
            sal_probe_answer_release(&a);
            sal_model_close(m.model);
        }
}

/* Weights of one size, far from the ends of the range: S is what it is for an even
 * gradient. */
static void an_even_gradient_has_the_even_ratio(void **state)
{
    (void)state;
    for (int norm = 0; norm < 2; norm++) {
        struct plain m = make_plain(2, 0);
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            m.w[i] = i % 2 ? 1 : -1;
            m.x[i] = 0.5;
            sum += (double)m.w[i] * 0.5;
        }
        m.b = (float)(0.3 - sum);
        plain_reopen(&m);
        struct sal_probe_answer a =
            probe_of(m.model, m.x, "shortcut",
                     (struct probing){.settings = norm ? "norm=l2" : "", .roi = m.roi});
        double even = fact_of(&a, "ratio_even");
        assert_true(fabs(fact_of(&a, "ratio") / even - 1) <= 5e-3);
        /* In L2 a change 2e-4 longer than the shortest may point 2 % elsewhere. */
        assert_true(fabs(fact_of(&a, "energy_share") / fact_of(&a, "area_share") - 1) <=
                    (norm ? 0.1 : 5e-3));
        sal_probe_answer_release(&a);
        sal_model_close(m.model);
    }
}

static void a_side_that_cannot_flip_is_told_so(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        struct plain m = make_plain(2, 0.5);
        for (int i = 0; i < SIZE; i++)
            m.w[i] = m.roi[i] == inside ? m.w[i] : 0;
        m.b = 0.3F;
        plain_reopen(&m);
        struct sal_probe_answer a =
            probe_of(m.model, m.x, "shortcut", (struct probing){.roi = m.roi});
        assert_true(a.flipped);
        assert_true(isnan(fact_of(&a, inside ? "eps_outside" : "eps_inside")));
        assert_true(fact_of(&a, inside ? "eps_inside" : "eps_outside") > 0);
        assert_true(isnan(fact_of(&a, "ratio")));
        assert_non_null(strstr(a.note, inside ? "none was found outside alone"
                                              : "none was found inside alone"));
        sal_probe_answer_release(&a);
        sal_model_close(m.model);
    }
}

/* ---- any network --------------------------------------------------------------------------- */

static const char *const attacks[][2] = {{"fgsm", "eps=0.2"},
                                         {"pgd", "eps=0.2 steps=6 restarts=2"},
                                         {"apgd", "eps=0.2 steps=12"},
                                         {"pgd", "eps=2 norm=l2 steps=6"},
                                         {"square", "eps=0.2 queries=40"},
                                         {"noise", "eps=0.2 samples=9"},
                                         {"deepfool", "steps=6"},
                                         {"ddn", "steps=15"},
                                         {"fmn", "steps=15"},
                                         {"fmn", "steps=15 norm=l2"},
                                         {"mineps", ""},
                                         {"mineps", "norm=l2"},
                                         {"curve", "points=3 steps=3 samples=3"}};
enum { ATTACKS = sizeof(attacks) / sizeof(*attacks) };

/* Not by a bit, on either side; and what may alter more never needs more. */
static void the_other_side_is_left_as_it_is(void **state)
{
    (void)state;
    static const enum network kinds[] = {SMOOTH, SMOOTH_NHWC};
    for (int k = 0; k < 2; k++) {
        struct sal_model *model = make_network(kinds[k], "imagenet");
        const float *x = noisy_input(model, 3);
        const uint8_t *roi = holey_region();
        int changed = 0;
        for (int i = 0; i < ATTACKS; i++) {
            double least[3];
            for (int where = 0; where < 3; where++) {
                struct sal_probe_answer a =
                    probe_of(model, x, attacks[i][0],
                             (struct probing){.settings = attacks[i][1],
                                              .c = 1,
                                              .roi = roi,
                                              .where = (enum sal_where)where});
                for (int at = 0; at < N && where != SAL_EVERYWHERE; at++) {
                    int64_t place = sal_input_place(sal_model_input(model), at / PIXELS,
                                                    at % PIXELS);
                    if (roi[at % PIXELS] == (where == SAL_OUTSIDE))
                        assert_memory_equal(&a.x[place], &x[place], sizeof(float));
                }
                assert_answer_is_honest(model, x, 1, &a);
                double share =
                    a.distance.linf > 0 ? fact_of(&a, "energy_share") : (double)NAN;
                if (a.distance.linf > 0 && where != SAL_EVERYWHERE)
                    assert_true(share == (where == SAL_INSIDE));
                changed += where == SAL_INSIDE && a.distance.linf > 0;
                double length = a.norm == SAL_LINF ? a.distance.linf : a.distance.l2;
                least[where] = a.flipped ? length : (double)INFINITY;
                sal_probe_answer_release(&a);
            }
            if (strcmp(attacks[i][0], "mineps") == 0)
                assert_true(least[0] <= 1.02 * fmin(least[1], least[2]));
        }
        assert_true(changed > 3);
        sal_model_close(model);
    }
}

static void anywhere_is_no_harder_than_either_side(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct sal_probe_answer a =
            probe_of(model, noisy_input(model, seed), "shortcut",
                     (struct probing){.settings = seed % 2 ? "norm=l2" : "", .c = 1,
                                      .roi = holey_region()});
        double least = fact_of(&a, "eps_everywhere");
        assert_true(a.flipped && least <= (a.norm == SAL_LINF ? a.distance.linf : a.distance.l2));
        for (int side = 0; side < 2; side++) {
            double eps = fact_of(&a, side ? "eps_outside" : "eps_inside");
            assert_true(isnan(eps) || least <= eps);
        }
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

/* A rectangle of an image 60 x 40, as a session asks: altered where preprocessing has put it. */
static void expect_there(enum sal_fit fit, const char *image)
{
    enum { WIDE = 60, HIGH = 40, X = 18, Y = 12, DX = 21, DY = 17 };
    char beside[] = "/tmp/saliscope-sides-XXXXXX.json", text[128];
    const char *roi = "18,12,21,17";
    struct sal_session *session;
    const struct sal_probe_answer *a;
    int fd = mkstemps(beside, 5);
    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof(text), "{\"input\": {\"channels\": \"gray\", \"fit\": \"%s\"}}",
             sal_fit_names[fit]);
    must(sal_file_write(beside, text, strlen(text), err));
    struct sal_session_ask ask = {.probe = sal_probe_find("pgd"), .layer = -1, .class_index = 0,
                                  .roi = &roi, .n_roi = 1, .where = SAL_INSIDE};
    sal_params_init(&ask.params, ask.probe->params);
    must(sal_params_set(&ask.params, ask.probe->params, "eps=1", "pgd", err));
    must(sal_session_open(&session, "samples/models/phantom.onnx",
                          &(struct sal_session_options){.sidecar = beside}, err));
    must(sal_session_load(session, image, err));
    must(sal_session_probe(session, &ask, &a, err));
    struct sal_placement place = sal_placement_of(WIDE, HIGH, a->width, a->height, fit);
    double sx = place.dst_width / place.src_width, sy = place.dst_height / place.src_height;
    int all = 0, changed = 0;
    assert_true(a->flipped);
    for (int i = 0; i < a->width * a->height; i++) {
        double x = (i % a->width - place.dst_x) / sx + place.src_x; /* its upper left */
        double y = (i / a->width - place.dst_y) / sy + place.src_y;
        double wide = fmin(x + 1 / sx, X + DX) - fmax(x, X);
        double high = fmin(y + 1 / sy, Y + DY) - fmax(y, Y);
        bool inside = wide > 0 && high > 0 && wide * high * sx * sy > 0.5;
        if (!inside && a->change[i] != 0)
            fail_msg("%s: pixel %d", sal_fit_names[fit], i);
        all += inside;
        changed += a->change[i] != 0;
    }
    assert_true(changed <= all && changed >= 0.85 * all); /* a step may be taken back */
    sal_session_close(session);
    unlink(beside);
}

static void a_region_of_the_image_lies_there_on_the_grid(void **state)
{
    (void)state;
    enum { WIDE = 60, HIGH = 40 };
    uint16_t samples[WIDE * HIGH];
    char image[] = "/tmp/saliscope-sides-XXXXXX.png";
    struct sal_buffer png = {0};
    for (int i = 0; i < WIDE * HIGH; i++)
        samples[i] = (uint16_t)(60 + 13 * i % 97);
    build_png(&png, samples, WIDE, HIGH, 1, 8);
    int fd = mkstemps(image, 4);
    assert_true(fd >= 0);
    close(fd);
    must(sal_file_write(image, png.data, png.size, err));
    for (int fit = 0; fit < 3; fit++)
        expect_there((enum sal_fit)fit, image);
    unlink(image);
    sal_buffer_release(&png);
}

static void threads_and_batches_change_nothing(void **state)
{
    (void)state;
    static const char *const asks[][2] = {{"region", "draws=23"},
                                          {"region", "fill=noise draws=7 dx=1"},
                                          {"region", "fill=mean"},
                                          {"shortcut", ""},
                                          {"shortcut", "norm=l2"}};
    struct sal_model *model = make_network(RELU, "imagenet");
    const float *x = noisy_input(model, 5);
    for (int i = 0; i < 5; i++) {
        struct probing how = {
            .settings = asks[i][1], .c = 1, .roi = holey_region(), .seed = 4};
        struct sal_probe_answer a = probe_of(model, x, asks[i][0], how);
        for (int other = 0; other < 3; other++) {
            how.threads = other + 1;
            how.batch = (int[]){1, 3, 8}[other];
            struct sal_probe_answer b = probe_of(model, x, asks[i][0], how);
            assert_memory_equal(a.x, b.x, N * sizeof(float));
            assert_int_equal(a.n_trials, b.n_trials);
            for (int k = 0; k < a.n_trials; k++) {
                assert_string_equal(a.trials[k].title, b.trials[k].title);
                assert_memory_equal(&a.trials[k].f, &b.trials[k].f, sizeof(double));
                assert_memory_equal(&a.trials[k].score, &b.trials[k].score,
                                    sizeof(double));
            }
            assert_int_equal(a.n_facts, b.n_facts);
            for (int k = 0; k < a.n_facts; k++)
                assert_memory_equal(&a.facts[k].value, &b.facts[k].value,
                                    sizeof(double));
            sal_probe_answer_release(&b);
        }
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smallest_changes_are_found_on_either_side),
        cmocka_unit_test(an_even_gradient_has_the_even_ratio),
        cmocka_unit_test(a_side_that_cannot_flip_is_told_so),
        cmocka_unit_test(the_other_side_is_left_as_it_is),
        cmocka_unit_test(anywhere_is_no_harder_than_either_side),
        cmocka_unit_test(a_region_of_the_image_lies_there_on_the_grid),
        cmocka_unit_test(threads_and_batches_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
