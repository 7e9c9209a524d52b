/* The ONNX backend tests: every case whose operators are all in our table, run through
 * reading, building and a forward, against the outputs it comes with. What is passed
 * and what is refused is counted exactly, so that nothing drops out unseen. VERBOSE in
 * the environment names the refused. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data.h"
#include "graph.h"
#include "kernel.h"
#include "run_parts.h"

enum { TENSORS_MAX = 32, PATH_SIZE = 1024 };
enum outcome { PASSED, REFUSED, NOT_OURS, FAILED, OUTCOMES };

/* The serialised tensors of one side of a case. */
struct tensors {
    struct sal_file file[TENSORS_MAX];
    struct sal_onnx_tensor tensor[TENSORS_MAX];
    int n;
};

struct trial {
    struct sal_onnx onnx;
    struct tensors inputs, outputs;
    struct sal_arena arena;
    bool as_constants; /* integer inputs are handed over as initialisers */
    struct sal_error err;
};

/* ---- reading a case -------------------------------------------------------------- */

static bool read_side(struct tensors *side, struct sal_arena *arena, const char *folder,
                      const char *name)
{
    for (side->n = 0; side->n < TENSORS_MAX; side->n++) {
        char path[PATH_SIZE + 64];
        struct sal_error err;
        struct sal_file *file = &side->file[side->n];
        snprintf(path, sizeof(path), "%s/test_data_set_0/%s_%d.pb", folder, name, side->n);
        if (access(path, R_OK) != 0)
            return true;
        if (sal_file_map(file, path, 1 << 26, &err))
            return false;
        if (sal_onnx_parse_tensor(&side->tensor[side->n], file->bytes, arena, &err)) {
            sal_file_close(file);
            return false;
        }
    }
    return false;
}

static void close_side(struct tensors *side)
{
    for (int i = 0; i < side->n; i++)
        sal_file_close(&side->file[i]);
}

static struct sal_shape shape_of(const struct sal_onnx_tensor *tensor)
{
    struct sal_shape shape = {.rank = tensor->rank};
    memcpy(shape.dim, tensor->dim, sizeof(tensor->dim));
    return shape;
}

/* Debian's cases keep bfloat16 as what has the same bits. */
static void retype(struct tensors *side, const struct sal_onnx_value *declared, int n)
{
    for (int i = 0; i < side->n && i < n; i++)
        if (declared[i].type == SAL_ONNX_BFLOAT16 &&
            side->tensor[i].type == SAL_ONNX_UINT16)
            side->tensor[i].type = SAL_ONNX_BFLOAT16;
}

/* Operators all in the table, and types that have values here. */
static bool ours(const struct trial *t)
{
    const struct sal_onnx_graph *graph = &t->onnx.graph;
    enum sal_kind kind;
    for (int i = 0; i < graph->n_nodes; i++)
        if (*graph->nodes[i].domain || !sal_op_find(graph->nodes[i].op))
            return false;
    for (int i = 0; i < t->inputs.n; i++)
        if (!sal_type_kind(t->inputs.tensor[i].type, &kind))
            return false;
    for (int i = 0; i < t->outputs.n; i++)
        if (!sal_type_kind(t->outputs.tensor[i].type, &kind))
            return false;
    return t->inputs.n == graph->n_inputs && t->outputs.n == graph->n_outputs;
}

/* ---- comparing -------------------------------------------------------------------- */

/* We keep more digits than a bfloat16 has, and some cases truncate theirs. */
static bool close_enough(double got, double wanted, int type)
{
    double relative = type == SAL_ONNX_BFLOAT16 ? 0x1p-7 : 1e-3;
    if (isnan(wanted) || isinf(wanted))
        return isnan(wanted) ? isnan(got) : got == wanted;
    return fabs(got - wanted) <= 1e-7 + relative * fabs(wanted);
}

static bool same_values(struct trial *t, const struct sal_tensor *got,
                        const struct sal_tensor *wanted, int output)
{
    int64_t n = sal_shape_count(&wanted->shape);
    for (int64_t i = 0; i < n; i++) {
        bool real = got->kind == SAL_REAL;
        double a = real ? (double)got->real[i] : (double)got->i64[i];
        double b = real ? (double)wanted->real[i] : (double)wanted->i64[i];
        if (real ? close_enough(a, b, wanted->type) : got->i64[i] == wanted->i64[i])
            continue;
        sal_fail(&t->err, SAL_NO, "output %d[%lld] is %.9g, expected %.9g", output,
                 (long long)i, a, b);
        return false;
    }
    return true;
}

static bool same_output(struct trial *t, const struct sal_tensor *got, int output)
{
    struct sal_tensor wanted;
    char text[2][96];
    if (sal_tensor_from_onnx(&wanted, &t->outputs.tensor[output], &t->arena, &t->err))
        return false;
    if (got->type != wanted.type || got->kind != wanted.kind) {
        sal_fail(&t->err, SAL_NO, "output %d is %s, expected %s", output,
                 sal_onnx_type_name(got->type), sal_onnx_type_name(wanted.type));
        return false;
    }
    if (!sal_shape_equal(&got->shape, &wanted.shape)) {
        sal_fail(&t->err, SAL_NO, "output %d is %s, expected %s", output,
                 sal_shape_text(&got->shape, text[0], sizeof(text[0])),
                 sal_shape_text(&wanted.shape, text[1], sizeof(text[1])));
        return false;
    }
    return same_values(t, got, &wanted, output);
}

/* ---- running ---------------------------------------------------------------------- */

static bool is_constant(const struct trial *t, int input)
{
    enum sal_kind kind = SAL_REAL;
    sal_type_kind(t->inputs.tensor[input].type, &kind);
    return t->as_constants && kind == SAL_INT;
}

/* The description with its integer inputs among the initialisers. */
static struct sal_onnx folded(struct trial *t, struct sal_shape *shapes, int *input)
{
    const struct sal_onnx_graph *from = &t->onnx.graph;
    struct sal_onnx onnx = t->onnx;
    struct sal_onnx_value *inputs = sal_new(&t->arena, struct sal_onnx_value, TENSORS_MAX);
    struct sal_onnx_tensor *initialisers =
        sal_new(&t->arena, struct sal_onnx_tensor, from->n_initialisers + TENSORS_MAX);
    onnx.graph.n_inputs = 0;
    for (int i = 0; i < from->n_initialisers; i++)
        initialisers[i] = from->initialisers[i];
    for (int i = 0; i < from->n_inputs; i++) {
        if (is_constant(t, i)) {
            struct sal_onnx_tensor *to = &initialisers[onnx.graph.n_initialisers++];
            *to = t->inputs.tensor[i];
            to->name = from->inputs[i].name;
        } else {
            shapes[onnx.graph.n_inputs] = shape_of(&t->inputs.tensor[i]);
            input[onnx.graph.n_inputs] = i;
            inputs[onnx.graph.n_inputs++] = from->inputs[i];
        }
    }
    onnx.graph.inputs = inputs;
    onnx.graph.initialisers = initialisers;
    return onnx;
}

static enum sal_status fill(struct trial *t, struct sal_tensor *to, int input)
{
    struct sal_tensor values;
    enum sal_status status =
        sal_tensor_from_onnx(&values, &t->inputs.tensor[input], &t->arena, &t->err);
    size_t bytes = status ? 0 : t->inputs.tensor[input].count * sal_kind_size(values.kind);
    if (bytes)
        memcpy(to->data, values.data, bytes);
    return status;
}

static enum sal_status run_graph(struct trial *t, const struct sal_graph *graph,
                                 const int *input)
{
    struct sal_run *run = NULL;
    const struct sal_run_options options = {.memory = (size_t)1 << 30};
    enum sal_status status = sal_run_open_graph(&run, graph, &options, &t->err);
    if (status)
        return status;
    for (int i = 0; i < graph->n_inputs && !status; i++)
        if (graph->values[graph->inputs[i]].live)
            status = fill(t, sal_run_tensor(run, graph->inputs[i]), input[i]);
    if (!status)
        status = sal_run_pass(run, NULL, &t->err);
    for (int i = 0; i < graph->n_outputs && !status; i++) {
        const struct sal_tensor *folded_away = &graph->values[graph->outputs[i]].tensor;
        const struct sal_tensor *got = folded_away->data
                                           ? folded_away
                                           : sal_run_tensor(run, graph->outputs[i]);
        status = same_output(t, got, i) ? SAL_OK : t->err.status;
    }
    sal_run_close(run);
    return status;
}

static enum sal_status run_trial(struct trial *t)
{
    struct sal_shape shapes[TENSORS_MAX];
    int input[TENSORS_MAX];
    struct sal_onnx onnx = folded(t, shapes, input);
    struct sal_graph graph;
    enum sal_status status = sal_graph_build(
        &graph, &onnx, &(struct sal_graph_options){.shapes = shapes}, &t->err);
    if (status)
        return status;
    status = run_graph(t, &graph, input);
    sal_graph_release(&graph);
    return status;
}

static enum outcome judge(struct trial *t)
{
    retype(&t->inputs, t->onnx.graph.inputs, t->onnx.graph.n_inputs);
    retype(&t->outputs, t->onnx.graph.outputs, t->onnx.graph.n_outputs);
    if (!ours(t))
        return NOT_OURS;
    enum sal_status status = run_trial(t);
    if (status == SAL_UNSUPPORTED) {
        t->as_constants = true;
        status = run_trial(t);
    }
    return status == SAL_OK ? PASSED : status == SAL_UNSUPPORTED ? REFUSED : FAILED;
}

static enum outcome run_folder(const char *folder)
{
    struct trial t = {0};
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    if (sal_onnx_open(&t.onnx, path, &t.err))
        return NOT_OURS;
    bool readable = read_side(&t.inputs, &t.arena, folder, "input");
    readable = read_side(&t.outputs, &t.arena, folder, "output") && readable;
    enum outcome outcome = readable ? judge(&t) : NOT_OURS;
    if (outcome == FAILED || (outcome == REFUSED && getenv("VERBOSE")))
        print_message("%s %s: %s\n", outcome == FAILED ? "FAILED" : "refused", folder,
                      t.err.text);
    close_side(&t.inputs);
    close_side(&t.outputs);
    sal_arena_release(&t.arena);
    sal_onnx_close(&t.onnx);
    return outcome;
}

static void run_set(const char *root, const char *set, int count[OUTCOMES])
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", root, set);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char folder[PATH_SIZE];
        int size = snprintf(folder, sizeof(folder), "%.500s/%s", path, entry->d_name);
        if (*entry->d_name != '.' && size < (int)sizeof(folder))
            count[run_folder(folder)]++;
    }
    closedir(directory);
}

/* ---- tests ------------------------------------------------------------------------ */

static void debians_backend_tests_pass(void **state)
{
    (void)state;
    static const char root[] = "/usr/share/libonnx-testdata/data";
    if (access(root, R_OK) != 0) {
        printf("skip: libonnx-testdata is not installed\n");
        skip();
    }
    int count[OUTCOMES] = {0};
    run_set(root, "node", count);
    run_set(root, "simple", count);
    run_set(root, "pytorch-converted", count);
    run_set(root, "pytorch-operator", count);
    print_message("%d passed, %d refused, %d not ours\n", count[PASSED], count[REFUSED],
                  count[NOT_OURS]);
    assert_int_equal(count[FAILED], 0);
    assert_int_equal(count[PASSED], 526);
    assert_int_equal(count[REFUSED], 13);
}

static void newer_backend_tests_pass(void **state)
{
    (void)state;
    char archive[PATH_SIZE], command[2 * PATH_SIZE], root[] = "/tmp/saliscope-XXXXXX";
    if (!shared_data("onnx_backend/cases.tar.gz", archive, sizeof(archive)))
        skip();
    assert_non_null(mkdtemp(root));
    snprintf(command, sizeof(command), "tar -xzf '%s' -C '%s'", archive, root);
    assert_int_equal(system(command), 0);
    int count[OUTCOMES] = {0};
    run_set(root, "node", count);
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
    print_message("%d passed, %d refused, %d not ours\n", count[PASSED], count[REFUSED],
                  count[NOT_OURS]);
    assert_int_equal(count[FAILED], 0);
    assert_int_equal(count[PASSED], 313);
    assert_int_equal(count[REFUSED], 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debians_backend_tests_pass),
        cmocka_unit_test(newer_backend_tests_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
