/* What a search shows while it goes on: the best so far, and nothing changes by it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saliscope/probe.h"

/* Who looks on: what was shown last, and how often. */
struct audience {
    int shown, after_flip;
    double nearest;
    long passes;
    bool keep;
    struct sal_probe_answer kept;
};

static struct sal_model *model;
static sal_real *input;

static int open_sample(void **state)
{
    (void)state;
    struct sal_image image;
    assert_int_equal(sal_model_open(&model, "samples/models/phantom.onnx",
                                    &(struct sal_model_options){0}, NULL),
                     SAL_OK);
    assert_int_equal(sal_image_load(&image, "samples/images/nodule-clear.png",
                                    SAL_SANDBOX_OFF, NULL),
                     SAL_OK);
    input = calloc((size_t)sal_model_input(model)->width * sal_model_input(model)->height,
                   sizeof(*input));
    assert_int_equal(sal_model_prepare(model, &image, input, NULL), SAL_OK);
    sal_image_release(&image);
    return 0;
}

static int close_sample(void **state)
{
    (void)state;
    free(input);
    sal_model_close(model);
    return 0;
}

static void look(void *self, struct sal_probe_answer *answer)
{
    struct audience *to = self;
    const struct sal_series *trail = sal_probe_series(answer, "trajectory");
    assert_true(answer->partial);
    assert_true(isnan(answer->f_after));
    assert_true(answer->forwards + answer->backwards >= to->passes);
    assert_non_null(trail);
    assert_true(trail->n > 0);
    if (answer->flipped) {
        /* It is what the trail ends with, and never worse than before. */
        assert_true(answer->distance.linf <= to->nearest);
        assert_true(fabs(answer->distance.linf - trail->y[trail->n - 1]) < 1e-7);
        to->nearest = answer->distance.linf;
        to->after_flip++;
    }
    to->passes = answer->forwards + answer->backwards;
    to->shown++;
    if (to->keep) {
        sal_probe_answer_release(&to->kept);
        to->kept = *answer;
        *answer = (struct sal_probe_answer){0};
    }
}

static struct sal_probe_answer ask(struct audience *audience)
{
    const struct sal_probe *probe = sal_probe_find("mineps");
    struct sal_params params;
    struct sal_probe_answer answer;
    sal_params_init(&params, probe->params);
    assert_int_equal(sal_params_set(&params, probe->params, "effort=standard", "", NULL),
                     SAL_OK);
    struct sal_probe_question question = {.model = model,
                                          .x = input,
                                          .white = 255,
                                          .grey = true,
                                          .params = &params,
                                          .show = audience ? look : NULL,
                                          .audience = audience};
    assert_int_equal(sal_probe_run(probe, &question, &answer, NULL), SAL_OK);
    return answer;
}

static void the_answer_is_the_same_whoever_looks_on(void **state)
{
    (void)state;
    struct audience audience = {.nearest = INFINITY};
    struct sal_probe_answer seen = ask(&audience), alone = ask(NULL);
    assert_true(audience.shown > 0 && audience.after_flip > 0);
    assert_true(seen.flipped && alone.flipped);
    assert_false(seen.partial);
    assert_memory_equal(seen.picture, alone.picture,
                        (size_t)alone.width * alone.height * sizeof(float));
    assert_int_equal(seen.forwards, alone.forwards);
    assert_int_equal(seen.backwards, alone.backwards);
    assert_true(seen.distance.linf <= audience.nearest);
    sal_probe_answer_release(&seen);
    sal_probe_answer_release(&alone);
}

static void what_was_shown_can_be_kept(void **state)
{
    (void)state;
    struct audience audience = {.nearest = INFINITY, .keep = true};
    struct sal_probe_answer answer = ask(&audience);
    sal_probe_answer_release(&answer);
    const struct sal_probe_answer *kept = &audience.kept;
    assert_true(audience.shown > 0);
    assert_int_equal(kept->width, sal_model_input(model)->width);
    double most = 0;
    for (int i = 0; i < kept->width * kept->height; i++)
        most = fmax(most, fabs((double)kept->change[i]));
    assert_true(most > 0 && fabs(most - kept->distance.linf) < 1e-7);
    assert_memory_equal(kept->after, kept->before,
                        (size_t)kept->n_logits * sizeof(*kept->before));
    sal_probe_answer_release(&audience.kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_the_same_whoever_looks_on),
        cmocka_unit_test(what_was_shown_can_be_kept),
    };
    return cmocka_run_group_tests(tests, open_sample, close_sample);
}
