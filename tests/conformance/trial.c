#include <math.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"
#include "kernel.h"
#include "saliscope/model.h"
#include "saliscope/recorded.h"

enum { PATH_SIZE = 4096 };

double trial_relative;

static void say(struct result *result, enum outcome outcome, const char *what,
                const char *text)
{
    result->outcome = outcome;
    snprintf(result->what, sizeof(result->what), "%.40s", what);
    snprintf(result->text, sizeof(result->text), "%.300s", text);
}

/* ---- what the model needs --------------------------------------------------- */

static void name_operators(const struct sal_onnx *onnx, struct result *result)
{
    size_t used = (size_t)snprintf(result->operators, sizeof(result->operators), " ");
    for (int i = 0; i < onnx->graph.n_nodes; i++) {
        const struct sal_onnx_node *node = &onnx->graph.nodes[i];
        char word[128];
        int size = snprintf(word, sizeof(word), " %s%s%s ", node->domain,
                            *node->domain ? "." : "", node->op);
        if (size >= (int)sizeof(word) || strstr(result->operators, word) ||
            used + (size_t)size > sizeof(result->operators))
            continue;
        used += (size_t)snprintf(result->operators + used,
                                 sizeof(result->operators) - used, "%s", word + 1);
    }
}

/* The first input or output whose type has no numbers here. */
static const struct sal_onnx_value *strange(const struct sal_onnx_graph *graph)
{
    enum sal_kind kind;
    for (int i = 0; i < graph->n_inputs; i++)
        if (!sal_type_kind(graph->inputs[i].type, &kind))
            return &graph->inputs[i];
    for (int i = 0; i < graph->n_outputs; i++)
        if (!sal_type_kind(graph->outputs[i].type, &kind))
            return &graph->outputs[i];
    return NULL;
}

static bool has_numbers(const struct sal_onnx *onnx, struct result *result)
{
    char text[256];
    const struct sal_onnx_value *value = strange(&onnx->graph);
    if (!value)
        return true;
    const char *type = value->other ? value->other : sal_onnx_type_name(value->type);
    snprintf(text, sizeof(text), "'%.100s' is %s", value->name, type);
    say(result, OUTCOME_SKIP_DTYPE, type, text);
    return false;
}

/* The first operator that is not there; false: all are. */
static bool lacks_operator(const struct sal_onnx *onnx, struct result *result)
{
    char text[256], what[128];
    struct sal_arena arena = {0};
    struct sal_missing *missing;
    int n = sal_missing_find(onnx, &arena, &missing);
    if (n) {
        snprintf(what, sizeof(what), "%.60s%s%.60s", missing->domain,
                 *missing->domain ? "." : "", missing->op);
        snprintf(text, sizeof(text), "node '%.100s', opset %lld", missing->node,
                 (long long)missing->opset);
        say(result, OUTCOME_SKIP_OP, what, text);
    }
    sal_arena_release(&arena);
    return n > 0;
}

/* ---- one data set ----------------------------------------------------------- */

/* A graph whose shapes hang on an input's values is built with that input as a
 * constant, as an exporter would have written it. Tried in this order: what is folded
 * away is not run, so the less the better. */
enum hand {
    HAND_NOTHING,
    HAND_INTEGERS_BUT_FIRST,
    HAND_INTEGERS,
    HAND_NUMBERS, /* integers and single floats: Range */
    HAND_ALL_BUT_FIRST,
    HANDS,
    HAND_ALL
};

static bool as_constant(enum hand hand, int i, enum sal_kind kind, int rank)
{
    switch (hand) {
    case HAND_INTEGERS_BUT_FIRST:
        return i > 0 && kind == SAL_INT;
    case HAND_INTEGERS:
        return kind == SAL_INT;
    case HAND_NUMBERS:
        return kind == SAL_INT || rank == 0;
    case HAND_ALL_BUT_FIRST:
        return i > 0;
    case HAND_ALL:
        return true;
    default:
        return false;
    }
}

struct set {
    const struct sal_onnx *onnx;
    struct sal_recording recording;
    bool constant[SAL_RECORDED_MAX];
    struct result *result;
};

/* False: the hand is the same as the one before. */
static bool choose(struct set *set, enum hand hand)
{
    bool other = hand == HAND_NOTHING;
    for (int i = 0; i < set->recording.inputs.n; i++) {
        enum sal_kind kind = SAL_REAL;
        const struct sal_onnx_tensor *tensor = &set->recording.inputs.at[i].tensor;
        sal_type_kind(tensor->type, &kind);
        bool constant = as_constant(hand, i, kind, tensor->rank);
        other = other || constant != set->constant[i];
        set->constant[i] = constant;
    }
    return other;
}

static void name_constants(const struct set *set, struct result *result)
{
    size_t used = (size_t)snprintf(result->text, sizeof(result->text), "as constants:");
    for (int i = 0; i < set->recording.inputs.n && used < sizeof(result->text); i++)
        if (set->constant[i])
            used += (size_t)snprintf(result->text + used, sizeof(result->text) - used,
                                     " %s", set->onnx->graph.inputs[i].name);
}

static enum sal_status check_run(struct set *set, bool plain, struct sal_error *err)
{
    struct sal_agreement agreements[SAL_RECORDED_MAX];
    struct sal_recorded_options options = {.tolerance = sal_tolerance_onnx,
                                           .constant = set->constant,
                                           .any_shape =
                                               true, /* CastLike's declare another */
                                           .plain = plain,
                                           .memory = (size_t)1 << 30};
    if (trial_relative > 0)
        options.tolerance.relative = trial_relative;
    enum sal_status status =
        sal_recorded_check(set->onnx, &set->recording, &options, agreements, err);
    for (int i = 0; i < set->recording.outputs.n && status == SAL_OK; i++)
        set->result->max_rel = fmax(set->result->max_rel, agreements[i].max_rel);
    return status;
}

/* With all but the first input as constants, which is what a classifier's weights are, and
 * what operators on packed weights are for. Only another answer counts. */
static enum sal_status check_weights(struct set *set, struct sal_error *err)
{
    bool constant[SAL_RECORDED_MAX];
    memcpy(constant, set->constant, sizeof(constant));
    for (int i = 1; i < set->recording.inputs.n; i++)
        set->constant[i] = true;
    bool same = memcmp(constant, set->constant, sizeof(constant)) == 0;
    enum sal_status status = same ? SAL_OK : check_run(set, false, err);
    memcpy(set->constant, constant, sizeof(constant));
    return status == SAL_NO ? sal_fail_within(err, SAL_NO, "constant weights") : SAL_OK;
}

/* As it always runs, and node by node: both must be right. */
static enum sal_status check(struct set *set, struct sal_error *err)
{
    enum sal_status status = check_run(set, false, err);
    if (status)
        return status;
    status = check_run(set, true, err);
    return status ? sal_fail_within(err, SAL_NO, "node by node") : check_weights(set, err);
}

/* A form of an operator that we have: "Dropout 'y': ...", "operator If (node ...". */
static void refused(const struct sal_onnx *onnx, const struct sal_error *err,
                    struct result *result)
{
    static const char before[] = "operator ";
    char op[48];
    if (onnx->opset > SAL_OPSET_MAX) {
        snprintf(op, sizeof(op), "opset %lld", (long long)onnx->opset);
        say(result, OUTCOME_SKIP_OP, op, err->text);
        return;
    }
    const char *at = err->text;
    if (strncmp(at, before, sizeof(before) - 1) == 0)
        at += sizeof(before) - 1;
    snprintf(op, sizeof(op), "%.*s", (int)strcspn(at, " '"), at);
    say(result, OUTCOME_SKIP_OP, strpbrk(at, "'") ? op : "?", err->text);
}

static void judge(struct set *set)
{
    struct sal_error err = {0}, first = {0};
    enum sal_status status = SAL_UNSUPPORTED;
    for (int hand = 0; hand < HANDS && status == SAL_UNSUPPORTED; hand++)
        if (choose(set, (enum hand)hand)) {
            status = check(set, &err);
            first = hand == HAND_NOTHING ? err : first;
            set->result->constants |= hand > 0 && status == SAL_OK;
        }
    if (status == SAL_OK) {
        set->result->outcome = OUTCOME_PASS;
        if (set->result->constants)
            name_constants(set, set->result);
    } else if (status == SAL_LIMIT) {
        say(set->result, OUTCOME_FAIL, "memory", err.text);
    } else if (status != SAL_UNSUPPORTED) {
        say(set->result, OUTCOME_FAIL, "", err.text);
    } else if (lacks_operator(set->onnx, set->result)) {
        return;
    } else if (choose(set, HAND_ALL) && check(set, &err) != SAL_UNSUPPORTED) {
        say(set->result, OUTCOME_SKIP_DATA, "", first.text);
    } else {
        refused(set->onnx, &err,
                set->result); /* of a graph without a shape left to know */
    }
}

static void run_set(const struct sal_onnx *onnx, const char *folder,
                    struct result *result)
{
    struct sal_error err;
    struct set set = {.onnx = onnx, .result = result};
    if (sal_recording_add_folder(&set.recording, folder, &err))
        say(result, OUTCOME_FAIL, "", err.text);
    else if (set.recording.outputs.n != onnx->graph.n_outputs)
        say(result, OUTCOME_FAIL, "", "not every output is recorded");
    else
        judge(&set);
    sal_recording_release(&set.recording);
}

/* ---- one test --------------------------------------------------------------- */

static void run_sets(const struct test *test, const struct sal_onnx *onnx,
                     struct result *result)
{
    char folder[PATH_SIZE];
    for (;; result->sets++) {
        snprintf(folder, sizeof(folder), "%s/test_data_set_%d", test->path,
                 result->sets);
        if (access(folder, F_OK) != 0)
            break;
        run_set(onnx, folder, result);
        if (result->outcome != OUTCOME_PASS)
            return;
    }
    if (result->sets == 0)
        say(result, OUTCOME_FAIL, "", "there is no test_data_set_0");
}

void trial(const struct test *test, struct result *result)
{
    struct sal_onnx onnx;
    struct sal_error err;
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/model.onnx", test->path);
    enum sal_status status = sal_onnx_open(&onnx, path, &err);
    if (status) {
        say(result, status == SAL_UNSUPPORTED ? OUTCOME_SKIP_DTYPE : OUTCOME_FAIL,
            status == SAL_UNSUPPORTED ? "file" : "", err.text);
        return;
    }
    name_operators(&onnx, result);
    if (has_numbers(&onnx, result))
        run_sets(test, &onnx, result);
    sal_onnx_close(&onnx);
}
