/* What is told of a probe's answer: the verdict first, in words that claim no more than was
 * found. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "saliscope/session.h"

enum { FACTS_MAX = 100, TEXT_MAX = 400 };

/* What was told, in its order. */
struct heard {
    int n;
    enum sal_weight weight[FACTS_MAX];
    char label[FACTS_MAX][16], text[FACTS_MAX][TEXT_MAX];
};

static struct sal_session *session;
static struct heard heard;
static const struct sal_stability *beside; /* that is told of; NULL: none */

static void hear(void *self, enum sal_weight weight, const char *label, const char *text)
{
    struct heard *to = self;
    assert_true(to->n < FACTS_MAX);
    assert_true(strlen(label) <= 8);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, " inf"));
    to->weight[to->n] = weight;
    snprintf(to->label[to->n], sizeof(to->label[0]), "%s", label);
    snprintf(to->text[to->n], sizeof(to->text[0]), "%s", text);
    to->n++;
}

static int open_sample(void **state)
{
    (void)state;
    struct sal_session_options options = {.threads = 2};
    struct sal_error err = {0};
    if (sal_session_open(&session, "samples/models/phantom.onnx", &options, &err) ||
        sal_session_load(session, "samples/images/nodule-clear.png", &err))
        print_message("%s\n", err.text);
    return err.status;
}

static int close_sample(void **state)
{
    (void)state;
    sal_session_close(session);
    return 0;
}

/* The answer to a probe about class 0, told as it is, or changed before. */
static struct sal_probe_answer ask(const char *name, const char *settings)
{
    struct sal_session_ask ask = {.probe = sal_probe_find(name), .layer = -1};
    const struct sal_probe_answer *answer;
    assert_non_null(ask.probe);
    sal_params_init(&ask.params, ask.probe->params);
    char text[128], *rest;
    snprintf(text, sizeof(text), "%s", settings);
    for (char *pair = strtok_r(text, " ", &rest); pair; pair = strtok_r(NULL, " ", &rest))
        assert_int_equal(sal_params_set(&ask.params, ask.probe->params, pair, name, NULL),
                         SAL_OK);
    assert_int_equal(sal_session_probe(session, &ask, &answer, NULL), SAL_OK);
    return *answer;
}

static void tell(const struct sal_probe_answer *answer, const char *name)
{
    const struct sal_image image = {.max = 255};
    const struct sal_snapshot snapshot = {.image = &image,
                                          .probe_ask = {.probe = sal_probe_find(name),
                                                        .beside = sal_method_find("gradcam")},
                                          .stability = beside,
                                          .answer = answer};
    const struct sal_listener listener = {&heard, hear};
    heard.n = 0;
    sal_probe_tell(&snapshot, sal_session_model(session), &listener);
    assert_true(heard.n > 0);
    assert_int_equal(heard.weight[0], SAL_WEIGHT_VERDICT);
}

/* The text under that label; NULL: there is none. */
static const char *under(const char *label)
{
    for (int i = 0; i < heard.n; i++)
        if (!strcmp(heard.label[i], label))
            return heard.text[i];
    return NULL;
}

static void a_flip_is_told_with_its_size_and_what_it_does_not_say(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("mineps", "");
    assert_true(answer.flipped);
    tell(&answer, "mineps");
    assert_string_equal(heard.text[0], "the decision changes: nodule is no longer called");
    char size[64];
    snprintf(size, sizeof(size), "linf %.3g of 255 levels (%.4g)", 255 * answer.distance.linf,
             answer.distance.linf);
    assert_non_null(strstr(under("change"), size));
    assert_non_null(strstr(under("bound"), "other changes may be smaller"));
    assert_non_null(under("noise"));
    assert_non_null(strstr(under("rounded"), "to 255 levels"));
    assert_null(under("nearest"));
}

static void nothing_found_is_no_proof(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("fgsm", "eps=0.01/255");
    assert_false(answer.flipped);
    tell(&answer, "fgsm");
    assert_string_equal(heard.text[0], "no change found that would hide nodule: this is no "
                                       "proof of robustness");
    assert_null(under("change"));
    assert_null(under("bound"));
    assert_non_null(under("nearest"));
    assert_non_null(strstr(under("allowed"), "0.01 of 255 levels"));
    answer = ask("curve", "max=0.01/255 points=2 steps=1 samples=0");
    assert_false(answer.flipped);
    tell(&answer, "curve");
    assert_string_equal(heard.text[0], "nothing that was tried would hide nodule");
}

/* No flip was sought, so none is missed. */
static void another_explanation_is_told_as_one(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("explanation", "steps=3 draws=2");
    assert_true(answer.found && !answer.flipped);
    tell(&answer, "explanation");
    assert_string_equal(heard.text[0], "the map changes, the decision about nodule holds");
    assert_non_null(strstr(under("top"), "of the map's 819 pixels are left"));
    assert_non_null(strstr(under("noise"), "of that eps leaves"));
    assert_true(under("change") && !under("nearest"));
    assert_int_equal(sal_probe_plot_next(&answer, SAL_PROBE_CURVE), SAL_PROBE_OVERLAP);
    assert_int_equal(sal_probe_plot_next(&answer, SAL_PROBE_TRAIL), SAL_PROBE_PLOTS);
    struct sal_probe_plot plot;
    assert_int_equal(sal_probe_plot_of(&answer, SAL_PROBE_OVERLAP, sal_session_model(session), 0,
                                       255, &plot, NULL),
                     SAL_OK);
    assert_true(plot.plot.curve[0].n == 4 && plot.plot.curve[0].y[0] == 1);
    assert_true(plot.plot.level[0].at == answer.displaced.noise);
    sal_probe_plot_release(&plot);
    struct sal_stability maps = {.decision_held = true,
                                 .after = {.values = (float[]){0}},
                                 .agreement = {.overlap = 0.31, .spearman = 0.62},
                                 .noise = {.n = 3, .mean = {.overlap = 0.88, .spearman = 0.95}}};
    beside = &maps;
    tell(&answer, "explanation");
    assert_string_equal(under("map"), "Grad-CAM, the decision held: top overlap 0.31 (noise of "
                                      "equal size 0.88), Spearman 0.62 (0.95)");
    maps.after.values = NULL;
    tell(&answer, "explanation");
    assert_non_null(strstr(under("map"), "nothing was altered"));
    beside = NULL;
    answer = ask("explanation", "eps=0 draws=0");
    tell(&answer, "explanation");
    assert_non_null(strstr(heard.text[0], "no proof of stability"));
    assert_true(!under("top") && !under("change"));
}

static void what_is_so_already_is_not_changed(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("mineps", "goal=create");
    assert_true(answer.already);
    tell(&answer, "mineps");
    assert_string_equal(heard.text[0],
                        "nodule is called as it is: there is nothing to change");
    assert_null(under("change"));
}

static void alarms_come_before_figures(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("fgsm", "eps=4/255");
    assert_true(answer.n_lights < SAL_LIGHTS_MAX);
    answer.lights[answer.n_lights++] = (struct sal_light){
        .name = "test", .title = "a light", .alarm = true, .text = "it burns"};
    answer.partial = true;
    strcpy(answer.note, "stopped after 2 passes: the best so far");
    tell(&answer, "fgsm");
    assert_int_equal(heard.weight[1], SAL_WEIGHT_ALARM);
    assert_string_equal(heard.text[1], "partial: stopped after 2 passes: the best so far");
    assert_int_equal(heard.weight[2], SAL_WEIGHT_ALARM);
    assert_string_equal(heard.label[2], "ALARM");
    assert_string_equal(heard.text[2], "a light: it burns");
    for (int i = 3; i < heard.n; i++)
        assert_int_equal(heard.weight[i], SAL_WEIGHT_PLAIN);
}

static void another_label_that_changed_sides_is_named(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("mineps", "");
    sal_real after[] = {answer.after[0], 9};
    answer.after = after;
    tell(&answer, "mineps");
    assert_string_equal(under("also"), "consolidation is called");
}

static void what_rounding_does_is_told_as_it_is(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("mineps", "");
    answer.stored = (struct sal_saved){.white = 255, .flipped = true, .scale = 1.4};
    tell(&answer, "mineps");
    assert_string_equal(under("rounded"),
                        "to 255 levels: undoes the flip; 1.4 times the change survives");
    answer.stored.flipped = false;
    answer.stored.scale = 4;
    tell(&answer, "mineps");
    assert_string_equal(under("rounded"),
                        "to 255 levels: undoes the flip, even of 4 times the change");
}

static void all_that_was_tried_is_told(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("fgsm", "");
    struct sal_trial trials[] = {
        {.name = "gamma", .title = "gamma 1.4", .score = 0.25, .draws = 1, .flips = 1},
        {.name = "noise", .title = "noise 0.1", .score = 0.75, .draws = 20, .flips = 3},
    };
    answer.trials = trials;
    answer.n_trials = 2;
    tell(&answer, "fgsm");
    const char *first = under("tried");
    assert_non_null(first);
    assert_ptr_equal(strstr(first, "gamma 1.4"), first);
    assert_non_null(strstr(first, "0.25"));
    assert_non_null(strstr(first, "flips"));
    assert_non_null(strstr(first + TEXT_MAX, "3 of 20 flip"));
}

static void an_attacked_explanation_is_told_by_its_map(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("fgsm", "eps=0.01/255");
    answer.sought = SAL_SEEK_EXPLANATION;
    answer.found = true;
    answer.displaced = (struct sal_displaced){.top = 1000, .overlap = 0.25, .stored = 0.5};
    tell(&answer, "fgsm");
    assert_string_equal(heard.text[0], "the map changes, the decision about nodule holds");
    assert_string_equal(under("top"), "25 % of the map's 1000 pixels are left");
    assert_string_equal(under("top") + TEXT_MAX,
                        "rounded to 255 levels 50 %; decision and score do not hold");
    assert_null(under("nearest"));
    answer.found = false;
    answer.displaced.overlap = (double)NAN;
    tell(&answer, "fgsm");
    assert_non_null(strstr(heard.text[0], "no proof of stability"));
    assert_null(under("top"));
}

static void what_a_probe_alone_has_is_told(void **state)
{
    (void)state;
    struct sal_probe_answer answer = ask("fgsm", "");
    answer.n_facts = 2;
    answer.facts[0] = (struct sal_fact){"share", "share of the area", 0.125, ""};
    answer.facts[1] = (struct sal_fact){"turn", "first turn that flips", (double)NAN, "degrees"};
    tell(&answer, "fgsm");
    assert_string_equal(under("figures"), "share of the area: 0.125");
    assert_string_equal(under("figures") + TEXT_MAX, "first turn that flips: none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flip_is_told_with_its_size_and_what_it_does_not_say),
        cmocka_unit_test(nothing_found_is_no_proof),
        cmocka_unit_test(another_explanation_is_told_as_one),
        cmocka_unit_test(what_is_so_already_is_not_changed),
        cmocka_unit_test(alarms_come_before_figures),
        cmocka_unit_test(another_label_that_changed_sides_is_named),
        cmocka_unit_test(what_rounding_does_is_told_as_it_is),
        cmocka_unit_test(all_that_was_tried_is_told),
        cmocka_unit_test(an_attacked_explanation_is_told_by_its_map),
        cmocka_unit_test(what_a_probe_alone_has_is_told),
    };
    return cmocka_run_group_tests(tests, open_sample, close_sample);
}
