/* Scores of all classes from one sweep: the map of another class has the bits that a sweep of
 * its own gives, and takes no forward; what was stopped goes on; any other question forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "small_network.h"

static const struct {
    const char *method, *settings;
} sweeps[] = {{"occlusion", "window=6 stride=4"}, {"rise", "masks=20"},
              {"kernelshap", "samples=30"},       {"lime", "samples=30"},
              {"ablationcam", ""},                {"reciprocam", ""}};
enum { SWEEPS = sizeof(sweeps) / sizeof(*sweeps) };

/* What one question differs in from the next. */
struct turn {
    int sweep, class_index, batch;
    uint64_t seed;
    const char *more; /* settings */
    bool exact;
    struct sal_job *job;
    struct sal_tally *tally;
};

static enum sal_status try_map(const struct sal_model *model, const float *x,
                               struct turn turn, struct sal_map *map, struct sal_error *error)
{
    const struct sal_method *method = sal_method_find(sweeps[turn.sweep].method);
    struct sal_params params;
    char settings[128];
    sal_params_init(&params, method->params);
    snprintf(settings, sizeof(settings), "%s %s", sweeps[turn.sweep].settings,
             turn.more ? turn.more : "");
    char *rest, *pair = strtok_r(settings, " ", &rest);
    for (; pair; pair = strtok_r(NULL, " ", &rest))
        must(sal_params_set(&params, method->params, pair, method->name, err));
    struct sal_question question = {.model = model,
                                    .x = x,
                                    .class_index = turn.class_index,
                                    .layer = -1,
                                    .params = &params,
                                    .batch = turn.batch,
                                    .seed = turn.seed,
                                    .exact = turn.exact,
                                    .job = turn.job,
                                    .tally = turn.tally};
    return sal_explain(method, &question, map, error);
}

static struct sal_map map_at(const struct sal_model *model, const float *x, struct turn turn)
{
    struct sal_map map;
    must(try_map(model, x, turn, &map, err));
    return map;
}

static void assert_same_bits(const struct sal_map *a, const struct sal_map *b)
{
    size_t size = (size_t)a->width * (size_t)a->height * sizeof(*a->values);
    assert_memory_equal(a->values, b->values, size);
    assert_true(a->score == b->score);
    assert_int_equal(a->n_checks, b->n_checks);
    for (int i = 0; i < a->n_checks; i++)
        assert_true(a->checks[i].value == b->checks[i].value);
}

/* The map with the tally, after the same without; how many forwards it took. */
static long forwards_of(const struct sal_model *model, const float *x, struct turn turn)
{
    struct turn alone = turn;
    alone.tally = NULL;
    struct sal_map own = map_at(model, x, alone), map = map_at(model, x, turn);
    assert_same_bits(&own, &map);
    long forwards = map.forwards;
    assert_true(own.forwards > 0 && forwards <= own.forwards);
    sal_map_release(&own);
    sal_map_release(&map);
    return forwards;
}

static void another_class_takes_no_forward_of_its_sweep(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_tally *tally = sal_tally_open();
    for (int m = 0; m < SWEEPS; m++) {
        struct turn turn = {.sweep = m, .tally = tally};
        long first = forwards_of(model, an_image(), turn);
        turn.class_index = 1;
        turn.batch = 3;
        long second = forwards_of(model, an_image(), turn);
        if (!(first > 1 && second <= 1)) /* the base of a layer's changes */
            fail_msg("%s: %ld forwards after %ld", sweeps[m].method, second, first);
    }
    sal_tally_close(tally);
    sal_model_close(model);
}

static void another_question_is_swept_anew(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_tally *tally = sal_tally_open();
    float other[N];
    memcpy(other, an_image(), sizeof(other));
    other[5] += 0.5F;
    const struct turn rise = {.sweep = 1, .tally = tally};
    struct turn turns[] = {rise, rise, rise, rise, rise};
    turns[1].seed = 7;
    turns[2].more = "masks=21";
    turns[3].exact = true;
    turns[4].sweep = 2;
    for (int i = 0; i < 5; i++)
        assert_true(forwards_of(model, an_image(), turns[i]) > 19);
    assert_true(forwards_of(model, an_image(), rise) > 19);
    assert_true(forwards_of(model, other, rise) > 19);
    sal_tally_close(tally);
    sal_model_close(model);
}

static void what_was_stopped_goes_on(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_tally *tally = sal_tally_open();
    struct sal_map part = stopped_map_with(model, "rise", "masks=4000", tally);
    assert_true(part.partial);
    long begun = part.forwards;
    sal_map_release(&part);
    struct turn turn = {.sweep = 1, .class_index = 1, .more = "masks=4000", .tally = tally};
    struct turn alone = turn;
    struct sal_job whole = {0}, later = {0};
    alone.tally = NULL;
    alone.job = &whole;
    turn.job = &later;
    struct sal_map own = map_at(model, an_image(), alone);
    long rest = forwards_of(model, an_image(), turn);
    assert_int_equal(begun + rest, own.forwards);
    assert_int_equal(later.total, whole.total); /* its progress does not begin at 0 */
    assert_int_equal(later.done, later.total);
    assert_true(begun >= 3);
    sal_map_release(&own);
    sal_tally_close(tally);
    sal_model_close(model);
}

/* A long one takes seconds. */
static void a_replay_is_stopped_too(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_tally *tally = sal_tally_open();
    struct sal_job job = {0};
    struct turn turn = {.sweep = 1, .tally = tally};
    struct turn stopped = {.sweep = 1, .class_index = 1, .tally = tally, .job = &job};
    assert_true(forwards_of(model, an_image(), turn) > 1);
    struct sal_map map;
    sal_job_cancel(&job);
    assert_int_equal(try_map(model, an_image(), stopped, &map, NULL), SAL_CANCELLED);
    assert_int_equal(forwards_of(model, an_image(), turn), 0);
    sal_tally_close(tally);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_class_takes_no_forward_of_its_sweep),
        cmocka_unit_test(another_question_is_swept_anew),
        cmocka_unit_test(what_was_stopped_goes_on),
        cmocka_unit_test(a_replay_is_stopped_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
