#include "op_norm.h"

#include <math.h>
#include <stdio.h>

const float op_norm_thresholds[OP_NORM_CLASSES] = {0.1f, 0.5f, NAN, 0.3f, 0.7f, 0.2f};

float op_norm(float p, float t)
{
    if (isnan(t))
        return 0.5f;
    return p < t ? p / (t * 2) : 1 - (1 - p) / ((1 - t) * 2);
}

static void constants(struct onnx_build *b, int64_t rows)
{
    uint8_t known[64];
    float t[64], half[64];
    const int64_t dims[] = {rows, OP_NORM_CLASSES};
    for (int i = 0; i < rows * OP_NORM_CLASSES; i++) {
        t[i] = op_norm_thresholds[i % OP_NORM_CLASSES];
        known[i] = 1;
        if (isnan(t[i]))
            known[i] = 0;
        half[i] = 0.5f;
    }
    onnx_build_weights(b, "t", 2, dims, t);
    onnx_build_weights(b, "half", 2, dims, half);
    onnx_build_raw(b, "known", SAL_ONNX_BOOL, 2, dims, known,
                   (size_t)(rows * OP_NORM_CLASSES));
    onnx_build_weights(b, "k1", 0, NULL, (float[]){1});
    onnx_build_weights(b, "k2", 0, NULL, (float[]){2});
    onnx_build_indices(b, "i0", 0, NULL, (int64_t[]){0});
    onnx_build_indices(b, "l0", 1, (int64_t[]){1}, (int64_t[]){0});
    onnx_build_indices(b, "flat", 1, (int64_t[]){1}, (int64_t[]){-1});
    onnx_build_indices(b, "dims", 1, (int64_t[]){2}, dims);
}

/* "GatherND", "p,#c", "#p" with `#` replaced by the branch's letter. */
static void node(struct onnx_build *b, char letter, const char *op, const char *inputs,
                 const char *outputs)
{
    char in[64], out[64];
    const char *const from[] = {inputs, outputs};
    char *const to[] = {in, out};
    for (int i = 0; i < 2; i++) {
        int n = 0;
        for (const char *c = from[i]; *c && n < 63; c++)
            to[i][n++] = *c == '#' ? letter : *c;
        to[i][n] = '\0';
    }
    onnx_build_node(b, op, in, out);
}

/* The coordinates of mask `#m` as #<name>. */
static void coordinates(struct onnx_build *b, char letter, const char *mask,
                        const char *name)
{
    char raw[16];
    snprintf(raw, sizeof raw, "%s_n", name);
    node(b, letter, "NonZero", mask, raw);
    node(b, letter, "Transpose", raw, name);
    onnx_build_ints(b, "perm", 2, (int64_t[]){1, 0});
}

/* Selected p and t as #p and #t: each with coordinates of its own, or shared ones. */
static void select_both(struct onnx_build *b, char letter, bool script)
{
    coordinates(b, letter, "#m", "#c");
    node(b, letter, "GatherND", "P,#c", "#p");
    if (script)
        coordinates(b, letter, "#m", "#d");
    node(b, letter, "GatherND", script ? "t,#d" : "t,#c", "#t");
}

/* #v back into `before`, giving `after`. */
static void write_back(struct onnx_build *b, char letter, bool script,
                       const char *before, const char *after)
{
    char inputs[64];
    if (script) {
        node(b, letter, "Expand", "#m,dims", "#w");
        coordinates(b, letter, "#w", "#e");
        node(b, letter, "Reshape", "#v,flat", "#r");
        node(b, letter, "Shape", "#e", "#s");
        node(b, letter, "Gather", "#s,i0", "#g");
        node(b, letter, "Unsqueeze", "#g,l0", "#u");
        node(b, letter, "Slice", "#r,l0,#u,l0", "#x");
    } else {
        node(b, letter, "Reshape", "#m,flat", "#f");
        node(b, letter, "Cast", "#f", "#i");
        onnx_build_int(b, "to", SAL_ONNX_INT64);
        node(b, letter, "ReduceSum", "#i", "#s");
        onnx_build_int(b, "keepdims", 1);
        node(b, letter, "Expand", "#v,#s", "#r");
        node(b, letter, "Reshape", "#r,flat", "#x");
    }
    snprintf(inputs, sizeof inputs, "%s,#%s,#x", before, script ? "e" : "c");
    node(b, letter, "ScatterND", inputs, after);
}

void build_op_norm(struct onnx_build *b, const char *p, int64_t rows, bool script)
{
    constants(b, rows);
    onnx_build_node(b, "Identity", p, "P");
    onnx_build_node(b, "Less", "P,t", "less");
    onnx_build_node(b, "And", "less,known", "lm");
    onnx_build_node(b, "Not", "less", "not_less");
    onnx_build_node(b, "And", "not_less,known", "gm");
    select_both(b, 'l', script);
    onnx_build_node(b, "Mul", "lt,k2", "l2");
    onnx_build_node(b, "Div", "lp,l2", "lv");
    select_both(b, 'g', script);
    onnx_build_node(b, "Sub", "k1,gp", "g1");
    onnx_build_node(b, "Sub", "k1,gt", "g2");
    onnx_build_node(b, "Mul", "g2,k2", "g3");
    onnx_build_node(b, "Div", "g1,g3", "g4");
    onnx_build_node(b, "Sub", "k1,g4", "gv");
    write_back(b, 'l', script, "half", "ly");
    write_back(b, 'g', script, "ly", "y");
}
