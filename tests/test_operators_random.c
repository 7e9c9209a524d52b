/* Nodes that nobody would write: every operator with attributes, types and shapes drawn
 * at random. Each is computed, forward and back, or refused with a word; what the
 * sanitizers see is a fault. In the environment, NODES says how many for each operator,
 * OPERATOR keeps to one, VERBOSE counts those computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "kernel.h"
#include "onnx_build.h"
#include "run_parts.h"

enum { INPUTS = 7, RANK = 5, NUMBERS = 6, EACH = 400 };

static uint64_t dice;

/* SplitMix64, kept to 0..n-1. */
static int below(int n)
{
    uint64_t z = dice += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (int)((z ^ z >> 31) % (uint64_t)n);
}

/* Mostly small, now and then as large as can be said. */
static int64_t number(void)
{
    static const int64_t large[] = {INT64_MAX, INT64_MIN, INT64_C(1) << 40, INT32_MAX, -9};
    return below(40) ? below(7) - 2 : large[below(5)];
}

/* ---- attributes ---------------------------------------------------------------------- */

struct word {
    const char *name, *values[8];
};

static const char *const integers[] = {
    "keepdims", "group", "k", "upper", "batch_dims", "to", "dtype", "exclusive",
    "reverse", "fmod", "batch_axis", "time_axis", "sorted", "allowzero", "start", "end",
    "num_outputs", "noop_with_empty_axes", "select_last_index", "transA", "transB",
    "q_num_heads", "kv_num_heads", "is_causal", "qk_matmul_output_mode", "num_heads",
    "interleaved", "rotary_embedding_dim", "left_window_size", "right_window_size",
    "ceil_mode", "count_include_pad", "storage_order", "size", "blocksize", "p",
    "num_groups", "largest", "align_corners", "training_mode", "detect_negative",
};

static const char *const lists[] = {
    "axes", "perm", "pads", "strides", "dilations", "kernel_shape", "split", "shape",
    "starts", "ends", "output_padding", "output_shape", "axes",
};

static const char *const floats[] = {
    "alpha", "beta", "epsilon", "scale", "softcap", "gamma", "value", "bias", "lambd",
};

static const struct word words[] = {
    {"equation", {"ij,jk->ik", "...i,i", "ii->i", "ij->ji", "abc,cd->abd", "i,j,k->kji"}},
    {"reduction", {"add", "mul", "max", "min", "none", "mean"}},
    {"mode", {"constant", "reflect", "edge", "wrap", "linear", "nearest", "cubic", "DCR"}},
    {"auto_pad", {"SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"}},
    {"direction", {"LEFT", "RIGHT"}},
    {"approximate", {"tanh", "none"}},
};

static void draw_attribute(struct onnx_build *b)
{
    int64_t values[NUMBERS];
    const struct word *word = &words[below(sizeof(words) / sizeof(*words))];
    int n = below(NUMBERS), last = 0;
    for (int i = 0; i < NUMBERS; i++)
        values[i] = number();
    switch (below(4)) {
    case 0:
        onnx_build_int(b, integers[below(sizeof(integers) / sizeof(*integers))], number());
        break;
    case 1:
        onnx_build_ints(b, lists[below(sizeof(lists) / sizeof(*lists))], n, values);
        break;
    case 2:
        onnx_build_float(b, floats[below(sizeof(floats) / sizeof(*floats))],
                         (float)number() / 4);
        break;
    default:
        while (last < 7 && word->values[last + 1])
            last++;
        onnx_build_string(b, word->name, word->values[below(last + 1)]);
    }
}

/* ---- inputs -------------------------------------------------------------------------- */

static int draw_shape(int64_t dims[RANK])
{
    int rank = below(RANK + 1);
    for (int i = 0; i < rank; i++)
        dims[i] = below(12) ? 1 + below(4) : 0;
    return rank;
}

static void draw_constant(struct onnx_build *b, const char *name, int type, int rank,
                          const int64_t *dims, int64_t n)
{
    int64_t integer[1024];
    float real[1024];
    unsigned char byte[1024];
    for (int64_t i = 0; i < n && i < 1024; i++) {
        integer[i] = number();
        real[i] = (float)integer[i] / 2;
        byte[i] = (unsigned char)(integer[i] & 1);
    }
    if (type == SAL_ONNX_FLOAT)
        onnx_build_weights(b, name, rank, dims, real);
    else if (type == SAL_ONNX_INT64)
        onnx_build_indices(b, name, rank, dims, integer);
    else
        onnx_build_raw(b, name, type, rank, dims, byte, (size_t)n);
}

/* The first is what most operators work on, and often the others are shaped like it. */
static void draw_inputs(struct onnx_build *b, int n)
{
    static const int types[] = {SAL_ONNX_FLOAT, SAL_ONNX_INT64, SAL_ONNX_BOOL,
                                SAL_ONNX_UINT8};
    int64_t dims[RANK], first_dims[RANK];
    int first_rank = 0;
    for (int i = 0; i < n; i++) {
        char name[] = {(char)('a' + i), '\0'};
        int type = types[i ? below(4) : below(5) / 4];
        int rank = draw_shape(dims);
        int64_t count = 1;
        if (i && !below(2)) {
            rank = first_rank;
            memcpy(dims, first_dims, sizeof(dims));
        } else if (i && below(2)) { /* a list of numbers */
            rank = 1;
            dims[0] = below(5);
            type = SAL_ONNX_INT64;
        }
        if (!i) {
            first_rank = rank;
            memcpy(first_dims, dims, sizeof(dims));
        }
        for (int axis = 0; axis < rank; axis++)
            count *= dims[axis];
        if (i && below(3) && count < 1024)
            draw_constant(b, name, type, rank, dims, count);
        else
            onnx_build_input(b, name, type, rank, dims);
    }
}

static void draw_node(struct onnx_build *b, const struct sal_op *op)
{
    char inputs[2 * INPUTS + 2] = "";
    int most = op->max_in < 0 || op->max_in > INPUTS ? INPUTS : op->max_in;
    int n = op->min_in + (most > op->min_in ? below(most - op->min_in + 1) : 0);
    int since = op->since > 7 ? op->since : 7, until = op->until;
    n = n > INPUTS ? INPUTS : n;
    onnx_build_init(b, since < until ? since + below(until - since + 1) : until);
    draw_inputs(b, n);
    for (int i = 0; i < n; i++) {
        char name[] = {i ? ',' : (char)('a' + i), i ? (char)('a' + i) : '\0', '\0'};
        if (i >= op->min_in && !below(5))
            name[1] = '\0'; /* left out */
        strcat(inputs, name);
    }
    onnx_build_node(b, op->name, inputs, op->max_out == 1 || below(2) ? "y" : "y,z");
    if (below(2)) /* many cannot do without */
        onnx_build_int(b, "axis", number());
    for (int i = below(5); i > 0; i--)
        draw_attribute(b);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

/* ---- running ------------------------------------------------------------------------- */

static void fill(struct sal_tensor *tensor)
{
    for (int64_t i = 0; i < sal_shape_count(&tensor->shape); i++)
        if (tensor->kind == SAL_REAL)
            tensor->real[i] = (sal_real)(below(65) - 32) / 16;
        else
            tensor->i64[i] = sal_int_wrap(tensor->type, number());
}

static enum sal_status go_back(struct sal_run *run, const struct sal_graph *graph,
                               struct sal_error *err)
{
    int wrt[INPUTS], n = 0, y = graph->outputs[0];
    const struct sal_tensor *tensor = sal_run_tensor(run, y);
    for (int i = 0; i < graph->n_inputs; i++) {
        const struct sal_value *value = &graph->values[graph->inputs[i]];
        if (value->live && value->tensor.kind == SAL_REAL)
            wrt[n++] = graph->inputs[i];
    }
    if (!n || tensor->kind != SAL_REAL || graph->values[y].tensor.data)
        return SAL_OK;
    int64_t count = sal_shape_count(&tensor->shape);
    sal_real *dy = malloc(sizeof(*dy) * (size_t)(count + 1));
    for (int64_t i = 0; i < count; i++)
        dy[i] = 1;
    enum sal_status status = sal_run_backward_from(run, y, dy, wrt, n, NULL, err);
    free(dy);
    return status;
}

static enum sal_status run_graph(const struct sal_graph *graph, struct sal_error *err)
{
    struct sal_run *run = NULL;
    const struct sal_run_options options = {.memory = (size_t)1 << 24, .gradient = true};
    enum sal_status status = sal_run_open_graph(&run, graph, &options, err);
    if (status)
        return status;
    for (int i = 0; i < graph->n_inputs; i++)
        if (graph->values[graph->inputs[i]].live)
            fill(sal_run_tensor(run, graph->inputs[i]));
    status = sal_run_pass(run, NULL, err);
    if (!status)
        status = go_back(run, graph, err);
    sal_run_close(run);
    return status;
}

/* True where it could be computed. */
static bool try_node(const struct sal_op *op)
{
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_error err = {0};
    draw_node(&b, op);
    enum sal_status status = sal_onnx_parse(&onnx, onnx_build_finish(&b), "case", &err);
    if (!status) {
        status = sal_graph_build(&graph, &onnx,
                                 &(struct sal_graph_options){.memory = (size_t)1 << 24},
                                 &err);
        if (!status) {
            status = run_graph(&graph, &err);
            sal_graph_release(&graph);
        }
        sal_onnx_close(&onnx);
    }
    onnx_build_release(&b);
    if (status && !*err.text)
        fail_msg("%s: refused without a word", op->name);
    return status == SAL_OK;
}

static void nodes_at_random_are_computed_or_refused(void **state)
{
    (void)state;
    const char *only = getenv("OPERATOR"), *asked = getenv("NODES");
    const int each = asked ? atoi(asked) : EACH;
    for (int i = 0; sal_ops[i]; i++) {
        int computed = 0;
        for (int j = 0; j < each && (!only || strcmp(only, sal_ops[i]->name) == 0); j++) {
            dice = (uint64_t)j * 7919 + (uint64_t)i * 104729;
            computed += try_node(sal_ops[i]);
        }
        if (getenv("VERBOSE"))
            print_message("%s: %d of %d\n", sal_ops[i]->name, computed, each);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_at_random_are_computed_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
