#include "graphs_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

enum { TEXT = 256 };

int graphs_roll(struct graphs *g, int n)
{
    return (int)(test_random(&g->state) * n);
}

double graphs_real(struct graphs *g, double low, double high)
{
    return low + (high - low) * test_random(&g->state);
}

bool graphs_chance(struct graphs *g, int n)
{
    return graphs_roll(g, n) == 0;
}

int graphs_put(struct graphs *g, const char *op, const char *inputs, int rank,
               const int64_t *dim)
{
    char name[16];
    if (g->n == GRAPHS_VALUES)
        abort();
    snprintf(name, sizeof(name), "v%d", g->n);
    onnx_build_node(&g->b, op, inputs, name);
    struct graphs_value *value = &g->value[g->n];
    value->rank = rank;
    memcpy(value->dim, dim, sizeof(*dim) * (size_t)rank);
    return g->n++;
}

int graphs_like(struct graphs *g, const char *op, int x, const char *more)
{
    char inputs[TEXT];
    snprintf(inputs, sizeof(inputs), "v%d%s", x, more);
    const struct graphs_value like = g->value[x];
    return graphs_put(g, op, inputs, like.rank, like.dim);
}

static bool same_weights(const struct graphs_weights *a, const struct graphs_weights *b)
{
    return a->rank == b->rank && a->low == b->low && a->high == b->high &&
           memcmp(a->dim, b->dim, sizeof(*a->dim) * (size_t)a->rank) == 0;
}

static int64_t count(int rank, const int64_t *dim)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    return n;
}

int graphs_weights(struct graphs *g, int rank, const int64_t *dim, double low, double high)
{
    struct graphs_weights new = {.rank = rank, .low = low, .high = high};
    for (int i = 0; i < rank; i++)
        new.dim[i] = dim[i];
    for (int i = 0; i < g->n_weights && graphs_chance(g, 2); i++)
        if (same_weights(&g->weights[i], &new))
            return i;
    if (g->n_weights == GRAPHS_WEIGHTS)
        abort();
    char name[16];
    int64_t n = count(rank, dim);
    float *values = malloc(sizeof(*values) * (size_t)n);
    snprintf(name, sizeof(name), "w%d", g->n_weights);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = (float)graphs_real(g, low, high);
    onnx_build_weights(&g->b, name, rank, dim, values);
    free(values);
    g->weights[g->n_weights] = new;
    return g->n_weights++;
}

/* ---- convolutions ------------------------------------------------------------------ */

/* Pads of an axis, and how long it is then; 0: nothing is left. */
static int64_t pad_axis(struct graphs *g, const struct graphs_conv *conv, int axis, int64_t in,
                        int64_t pad[2])
{
    int64_t reach = (conv->kernel[axis] - 1) * conv->dilation[axis];
    pad[0] = conv->same ? reach / 2 : graphs_roll(g, (int)reach + 1);
    pad[1] = conv->same ? reach - reach / 2 : graphs_roll(g, (int)reach + 1);
    int64_t room = in + pad[0] + pad[1] - reach - 1;
    return room < 0 ? 0 : room / conv->stride[axis] + 1;
}

static void put_window(struct graphs *g, const struct graphs_conv *conv, const int64_t *pads)
{
    onnx_build_ints(&g->b, "kernel_shape", 2, DIMS(conv->kernel[0], conv->kernel[1]));
    onnx_build_ints(&g->b, "strides", 2, DIMS(conv->stride[0], conv->stride[1]));
    if (conv->same && graphs_chance(g, 4))
        onnx_build_string(&g->b, "auto_pad", graphs_chance(g, 2) ? "SAME_UPPER" : "SAME_LOWER");
    else
        onnx_build_ints(&g->b, "pads", 4, pads);
    if (conv->dilation[0] > 1 || conv->dilation[1] > 1)
        onnx_build_ints(&g->b, "dilations", 2, DIMS(conv->dilation[0], conv->dilation[1]));
}

int graphs_conv(struct graphs *g, int x, const struct graphs_conv *conv)
{
    const struct graphs_value from = g->value[x];
    int64_t c = from.dim[1] / conv->groups, pads[4], axis[2];
    int64_t out[4] = {-1, conv->channels};
    for (int i = 0; i < 2; i++) {
        out[i + 2] = pad_axis(g, conv, i, from.dim[i + 2], axis);
        pads[i] = axis[0];
        pads[i + 2] = axis[1];
    }
    if (from.rank != 4 || !out[2] || !out[3])
        return x;
    double size = 1.7 / sqrt((double)(c * conv->kernel[0] * conv->kernel[1]));
    char inputs[TEXT];
    int w = graphs_weights(g, 4, DIMS(conv->channels, c, conv->kernel[0], conv->kernel[1]),
                           -size, size);
    int used = snprintf(inputs, sizeof(inputs), "v%d,w%d", x, w);
    if (conv->bias) {
        bool up = graphs_chance(g, 4);
        int b = graphs_weights(g, 1, &conv->channels, up ? 1 : -1, up ? 4 : 1);
        snprintf(inputs + used, sizeof(inputs) - (size_t)used, ",w%d", b);
    }
    int y = graphs_put(g, "Conv", inputs, 4, out);
    put_window(g, conv, pads);
    if (conv->groups > 1)
        onnx_build_int(&g->b, "group", conv->groups);
    return y;
}

int graphs_square(struct graphs *g, int x, int64_t channels, int kernel)
{
    struct graphs_conv conv = {channels, {kernel, kernel}, {1, 1}, {1, 1}, 1, true,
                               graphs_chance(g, 2)};
    return graphs_conv(g, x, &conv);
}

int graphs_depthwise(struct graphs *g, int x, int kernel, int stride)
{
    int64_t c = g->value[x].dim[1];
    struct graphs_conv conv = {c, {kernel, kernel}, {stride, stride}, {1, 1}, (int)c,
                               true, graphs_chance(g, 2)};
    return graphs_conv(g, x, &conv);
}

int graphs_norm(struct graphs *g, int x)
{
    int64_t c = g->value[x].dim[1];
    char inputs[TEXT];
    int scale = graphs_weights(g, 1, &c, graphs_chance(g, 4) ? -1.5 : 0.5, 1.5);
    int shift = graphs_weights(g, 1, &c, -0.5, 0.5), mean = graphs_weights(g, 1, &c, -0.5, 0.5);
    int variance = graphs_weights(g, 1, &c, 0.3, 1.2);
    snprintf(inputs, sizeof(inputs), ",w%d,w%d,w%d,w%d", scale, shift, mean, variance);
    int y = graphs_like(g, "BatchNormalization", x, inputs);
    if (graphs_chance(g, 4))
        onnx_build_float(&g->b, "epsilon", 0.1f);
    return y;
}

/* ---- activations ------------------------------------------------------------------- */

/* In double: a root of 2 is told from other numbers by all its digits. */
static int one_number(struct graphs *g, double value)
{
    char name[16];
    snprintf(name, sizeof(name), "w%d", g->n_weights);
    onnx_build_raw(&g->b, name, SAL_ONNX_DOUBLE, 0, NULL, &value, sizeof(value));
    g->weights[g->n_weights] = (struct graphs_weights){.rank = -1};
    return g->n_weights++;
}

int graphs_relu(struct graphs *g, int x)
{
    char more[TEXT];
    if (!graphs_chance(g, 3))
        return graphs_like(g, "Relu", x, "");
    bool high = graphs_chance(g, 2);
    /* Not 0, which dead channels meet exactly: there Clip has a gradient, and what is
     * fused, which looks at what it made, has none, as a Relu. */
    int from = one_number(g, graphs_chance(g, 3) ? -0.25 : graphs_chance(g, 3) ? 0.1 : 1e-3);
    int to = one_number(g, graphs_chance(g, 3) ? 0.5 : 6);
    snprintf(more, sizeof(more), high ? ",w%d,w%d" : ",w%d", from, to);
    return graphs_like(g, "Clip", x, more);
}

int graphs_gelu(struct graphs *g, int x, bool half_first)
{
    char more[TEXT];
    bool divides = graphs_chance(g, 2);
    snprintf(more, sizeof(more), ",w%d", one_number(g, divides ? sqrt(2) : sqrt(0.5)));
    int y = graphs_like(g, divides ? "Div" : "Mul", x, more);
    y = graphs_like(g, "Erf", y, "");
    snprintf(more, sizeof(more), ",w%d", one_number(g, 1));
    y = graphs_like(g, "Add", y, more);
    char half[TEXT];
    snprintf(half, sizeof(half), ",w%d", one_number(g, 0.5));
    if (half_first)
        y = graphs_like(g, "Mul", y, half);
    snprintf(more, sizeof(more), ",v%d", y);
    y = graphs_like(g, "Mul", x, more);
    return half_first ? y : graphs_like(g, "Mul", y, half);
}

/* Sigmoid or HardSigmoid, times x. */
static int swish(struct graphs *g, int x)
{
    char more[TEXT];
    int gate = graphs_like(g, graphs_chance(g, 4) ? "HardSigmoid" : "Sigmoid", x, "");
    if (graphs_chance(g, 2)) {
        snprintf(more, sizeof(more), ",v%d", gate);
        return graphs_like(g, "Mul", x, more);
    }
    snprintf(more, sizeof(more), ",v%d", x);
    return graphs_like(g, "Mul", gate, more);
}

int graphs_activation(struct graphs *g, int x)
{
    static const char *const names[] = {"Sigmoid", "HardSwish", "Tanh", "LeakyRelu",
                                        "Softplus", "Neg", "Elu", "Abs"};
    int kind = graphs_roll(g, 16);
    if (kind < 5)
        return graphs_relu(g, x);
    if (kind < 8)
        return swish(g, x);
    if (kind == 8)
        return graphs_gelu(g, x, graphs_chance(g, 2));
    return kind < 14 ? graphs_like(g, names[graphs_roll(g, 8)], x, "") : x;
}

/* ---- others -------------------------------------------------------------------------- */

int graphs_add(struct graphs *g, const char *op, int a, int b)
{
    char more[TEXT];
    snprintf(more, sizeof(more), ",v%d", b);
    return graphs_like(g, op, a, more);
}

int graphs_mean(struct graphs *g, int x)
{
    char inputs[TEXT];
    snprintf(inputs, sizeof(inputs), "v%d", x);
    return graphs_put(g, "GlobalAveragePool", inputs, 4, DIMS(-1, g->value[x].dim[1], 1, 1));
}

int graphs_pool(struct graphs *g, int x)
{
    const struct graphs_value from = g->value[x];
    bool max = graphs_chance(g, 2), ceil = graphs_chance(g, 3);
    int size = 2 + graphs_roll(g, 2), stride = 1 + graphs_roll(g, 2);
    struct graphs_conv window = {from.dim[1], {size, size}, {stride, stride}, {1, 1}, 1,
                                 false, false};
    int64_t out[4] = {-1, from.dim[1]}, pads[4] = {0};
    for (int i = 0; i < 2; i++) {
        pads[i] = graphs_roll(g, 2);
        pads[i + 2] = graphs_roll(g, 2);
        int64_t room = from.dim[i + 2] + pads[i] + pads[i + 2] - size;
        if (room < 0)
            return x;
        bool more = ceil && room % stride &&
                    (room / stride + 1) * stride < from.dim[i + 2] + pads[i];
        out[i + 2] = room / stride + 1 + more;
    }
    char inputs[TEXT];
    snprintf(inputs, sizeof(inputs), "v%d", x);
    int y = graphs_put(g, max ? "MaxPool" : "AveragePool", inputs, 4, out);
    put_window(g, &window, pads);
    if (ceil)
        onnx_build_int(&g->b, "ceil_mode", 1);
    if (!max && graphs_chance(g, 2))
        onnx_build_int(&g->b, "count_include_pad", 1);
    return y;
}

int graphs_concat(struct graphs *g, const int *x, int n)
{
    char inputs[TEXT];
    int64_t dim[4];
    size_t used = 0;
    memcpy(dim, g->value[x[0]].dim, sizeof(dim));
    for (int i = 0; i < n; i++) {
        used += (size_t)snprintf(inputs + used, sizeof(inputs) - used, i ? ",v%d" : "v%d", x[i]);
        dim[1] += i ? g->value[x[i]].dim[1] : 0;
    }
    int y = graphs_put(g, "Concat", inputs, g->value[x[0]].rank, dim);
    onnx_build_int(&g->b, "axis", 1);
    return y;
}

int graphs_linear(struct graphs *g, int x, int64_t features)
{
    struct graphs_value to = g->value[x];
    char inputs[TEXT];
    int64_t c = to.dim[to.rank - 1];
    double size = 1.7 / sqrt((double)c);
    to.dim[to.rank - 1] = features;
    bool gemm = to.rank == 2 && graphs_chance(g, 2), turned = gemm && graphs_chance(g, 2);
    int w = graphs_weights(g, 2, turned ? DIMS(features, c) : DIMS(c, features), -size, size);
    int b = graphs_weights(g, 1, &features, -1, 1);
    snprintf(inputs, sizeof(inputs), gemm ? "v%d,w%d,w%d" : "v%d,w%d", x, w, b);
    int y = graphs_put(g, gemm ? "Gemm" : "MatMul", inputs, to.rank, to.dim);
    if (turned)
        onnx_build_int(&g->b, "transB", 1);
    if (gemm || graphs_chance(g, 4))
        return y;
    snprintf(inputs, sizeof(inputs), ",w%d", b);
    return graphs_like(g, "Add", y, inputs);
}

int graphs_reshape(struct graphs *g, int x, int rank, const int64_t *dim)
{
    char inputs[TEXT], name[16];
    int64_t shape[4];
    memcpy(shape, dim, sizeof(*dim) * (size_t)rank);
    shape[0] = 0; /* as it is */
    snprintf(name, sizeof(name), "s%d", g->n);
    onnx_build_indices(&g->b, name, 1, DIMS(rank), shape);
    snprintf(inputs, sizeof(inputs), "v%d,%s", x, name);
    return graphs_put(g, "Reshape", inputs, rank, dim);
}

int graphs_turn(struct graphs *g, int x, const int64_t *perm)
{
    const struct graphs_value from = g->value[x];
    char inputs[TEXT];
    int64_t dim[4];
    for (int i = 0; i < from.rank; i++)
        dim[i] = from.dim[perm[i]];
    snprintf(inputs, sizeof(inputs), "v%d", x);
    int y = graphs_put(g, "Transpose", inputs, from.rank, dim);
    onnx_build_ints(&g->b, "perm", from.rank, perm);
    return y;
}

int graphs_pick(struct graphs *g, int x, int axis, int64_t index)
{
    struct graphs_value to = g->value[x];
    char inputs[TEXT], name[16];
    to.rank--;
    for (int i = axis; i < to.rank; i++)
        to.dim[i] = to.dim[i + 1];
    snprintf(name, sizeof(name), "i%d", g->n);
    onnx_build_indices(&g->b, name, 0, NULL, &index);
    snprintf(inputs, sizeof(inputs), "v%d,%s", x, name);
    int y = graphs_put(g, "Gather", inputs, to.rank, to.dim);
    onnx_build_int(&g->b, "axis", axis);
    return y;
}

int graphs_layer_norm(struct graphs *g, int x)
{
    char more[TEXT];
    const int64_t c = g->value[x].dim[g->value[x].rank - 1];
    int scale = graphs_weights(g, 1, &c, 0.5, 1.5), bias = graphs_weights(g, 1, &c, -0.5, 0.5);
    snprintf(more, sizeof(more), ",w%d,w%d", scale, bias);
    int y = graphs_like(g, "LayerNormalization", x, more);
    onnx_build_float(&g->b, "epsilon", 0.01f);
    return y;
}
