#include "graphs.h"

#include <stdio.h>
#include <string.h>

#include "graphs_parts.h"
#include "random.h"

enum { MOTIFS = 5, TEXT = 256 };

static int64_t any_channels(struct graphs *g)
{
    static const int64_t channels[] = {1, 3, 4, 8, 15, 16, 16, 17, 20, 24, 31, 32, 32, 33, 40, 48};
    return channels[graphs_roll(g, 16)];
}

static bool is_map(const struct graphs *g, int v)
{
    return g->value[v].rank == 4;
}

static bool is_large(const struct graphs *g, int v)
{
    return g->value[v].dim[1] > 96;
}

static bool same_size(const struct graphs *g, int a, int b)
{
    const int64_t *p = g->value[a].dim, *q = g->value[b].dim;
    return is_map(g, a) && is_map(g, b) && p[2] == q[2] && p[3] == q[3];
}

static bool same_shape(const struct graphs *g, int a, int b)
{
    return same_size(g, a, b) && g->value[a].dim[1] == g->value[b].dim[1];
}

/* The newest map, or an older one. */
static int any_map(struct graphs *g)
{
    int v = graphs_chance(g, 3) ? graphs_roll(g, g->n) : g->n - 1;
    while (!is_map(g, v))
        v--;
    return v;
}

/* Another map that fits a; a where there is none. */
static int partner(struct graphs *g, int a, bool fits(const struct graphs *, int, int))
{
    int start = graphs_roll(g, g->n);
    for (int i = 0; i < g->n; i++) {
        int b = (start + i) % g->n;
        if (fits(g, a, b) && (b != a || graphs_chance(g, 4)))
            return b;
    }
    return a;
}

/* ---- motifs -------------------------------------------------------------------------- */

static void any_conv(struct graphs *g, int x)
{
    static const int kernels[] = {1, 1, 3, 3, 3, 5, 7, 2};
    int64_t c = g->value[x].dim[1];
    struct graphs_conv conv = {any_channels(g), {1, 1}, {1, 1}, {1, 1}, 1,
                               graphs_chance(g, 2), graphs_chance(g, 2)};
    int kernel = kernels[graphs_roll(g, 8)], stride = graphs_chance(g, 3) ? 2 : 1;
    for (int i = 0; i < 2; i++) {
        conv.kernel[i] = graphs_chance(g, 8) ? kernels[graphs_roll(g, 8)] : kernel;
        conv.stride[i] = graphs_chance(g, 8) ? 1 + graphs_roll(g, 3) : stride;
        conv.dilation[i] = graphs_chance(g, 6) ? 2 : 1;
    }
    if (graphs_chance(g, 4)) { /* grouped, perhaps each channel for itself */
        static const int groups[] = {2, 3, 4, 8, 16};
        conv.groups = graphs_chance(g, 2) ? (int)c : groups[graphs_roll(g, 5)];
        if (c % conv.groups)
            conv.groups = 1;
        conv.channels = graphs_chance(g, 3) && c <= 24 ? 2 * c : c;
    }
    int y = graphs_conv(g, x, &conv);
    if (graphs_chance(g, 2))
        y = graphs_norm(g, y);
    int other = partner(g, y, same_shape);
    if (graphs_chance(g, 3) && y != other)
        y = graphs_chance(g, 2) ? graphs_add(g, "Add", y, other) : graphs_add(g, "Add", other, y);
    graphs_activation(g, y);
}

/* A bottleneck with a skip connection. */
static void residual(struct graphs *g, int x)
{
    int64_t c = g->value[x].dim[1], inner = any_channels(g);
    int y = graphs_square(g, x, inner, 1);
    y = graphs_relu(g, graphs_norm(g, y));
    y = graphs_square(g, y, inner, 3);
    if (graphs_chance(g, 2))
        y = graphs_relu(g, graphs_norm(g, y));
    y = graphs_square(g, y, c, graphs_chance(g, 2) ? 1 : 3);
    y = graphs_chance(g, 2) ? graphs_norm(g, y) : y;
    int skip = x;
    if (graphs_chance(g, 3))
        skip = graphs_norm(g, graphs_square(g, x, c, 1));
    y = graphs_chance(g, 2) ? graphs_add(g, "Add", y, skip) : graphs_add(g, "Add", skip, y);
    graphs_activation(g, y);
}

/* Layers of a dense block: each reads all that went before. */
static void dense(struct graphs *g, int x)
{
    int all[4] = {x}, layers = 2 + graphs_roll(g, 2);
    int64_t growth = graphs_chance(g, 3) ? any_channels(g) : 16;
    for (int i = 1; i <= layers && i < 4; i++) {
        int joined = i == 1 && graphs_chance(g, 2) ? x : graphs_concat(g, all, i);
        int y = graphs_relu(g, graphs_norm(g, joined));
        if (graphs_chance(g, 2))
            y = graphs_relu(g, graphs_norm(g, graphs_square(g, y, 32, 1)));
        all[i] = graphs_square(g, y, growth, 3);
    }
    int y = graphs_concat(g, all, layers + 1);
    if (graphs_chance(g, 2))
        y = graphs_square(g, graphs_relu(g, graphs_norm(g, y)), any_channels(g), 1);
    if (graphs_chance(g, 2))
        graphs_pool(g, y);
}

static int squeeze_excite(struct graphs *g, int x)
{
    int64_t c = g->value[x].dim[1];
    int y = graphs_mean(g, x);
    y = graphs_activation(g, graphs_square(g, y, 4 + graphs_roll(g, 8), 1));
    y = graphs_square(g, y, c, 1);
    y = graphs_like(g, graphs_chance(g, 3) ? "HardSigmoid" : "Sigmoid", y, "");
    if (graphs_chance(g, 2))
        return graphs_add(g, "Mul", x, y);
    char inputs[TEXT];
    snprintf(inputs, sizeof(inputs), "v%d,v%d", y, x);
    const struct graphs_value to = g->value[x];
    return graphs_put(g, "Mul", inputs, 4, to.dim);
}

/* Expand, channel by channel, squeeze and excite, project, add. */
static void inverted(struct graphs *g, int x)
{
    int64_t c = g->value[x].dim[1];
    int y = graphs_square(g, x, any_channels(g), 1);
    y = graphs_activation(g, graphs_norm(g, y));
    y = graphs_depthwise(g, y, 3 + 2 * graphs_roll(g, 3), 1 + graphs_roll(g, 2));
    y = graphs_activation(g, graphs_chance(g, 2) ? graphs_norm(g, y) : y);
    if (graphs_chance(g, 2))
        y = squeeze_excite(g, y);
    y = graphs_square(g, y, c, 1);
    y = graphs_chance(g, 2) ? graphs_norm(g, y) : y;
    if (same_shape(g, x, y))
        graphs_add(g, "Add", x, y);
}

/* ConvNeXt's: channel by channel, then channels last and linear layers. */
static void convnext(struct graphs *g, int x)
{
    int64_t c = g->value[x].dim[1];
    int y = graphs_depthwise(g, x, 3 + 2 * graphs_roll(g, 3), 1);
    y = graphs_turn(g, y, DIMS(0, 2, 3, 1));
    y = graphs_chance(g, 4) ? y : graphs_layer_norm(g, y);
    y = graphs_linear(g, y, any_channels(g));
    y = graphs_chance(g, 4) ? graphs_activation(g, y) : graphs_gelu(g, y, graphs_chance(g, 2));
    y = graphs_linear(g, y, c);
    y = graphs_turn(g, y, DIMS(0, 3, 1, 2));
    if (graphs_chance(g, 2)) {
        char more[TEXT];
        snprintf(more, sizeof(more), ",w%d", graphs_weights(g, 3, DIMS(c, 1, 1), 0.2, 1));
        y = graphs_like(g, "Mul", y, more);
    }
    if (!graphs_chance(g, 4))
        graphs_chance(g, 2) ? graphs_add(g, "Add", x, y) : graphs_add(g, "Add", y, x);
}

/* Rows of channels, which attend to one another, and back. */
static void attention(struct graphs *g, int x)
{
    const struct graphs_value from = g->value[x];
    int64_t rows = from.dim[2] * from.dim[3], size = 8 + 8 * graphs_roll(g, 2);
    if (rows > 100)
        return;
    int y = graphs_reshape(g, x, 3, DIMS(-1, from.dim[1], rows));
    y = graphs_turn(g, y, DIMS(0, 2, 1));
    int normed = graphs_chance(g, 2) ? y : graphs_layer_norm(g, y), part[3];
    int joint = graphs_chance(g, 3) ? graphs_linear(g, normed, 6 * size) : -1;
    if (joint >= 0)
        joint = graphs_reshape(g, joint, 4, DIMS(-1, rows, 3, 2 * size));
    for (int i = 0; i < 3; i++) {
        part[i] = joint < 0 ? graphs_linear(g, normed, 2 * size)
                            : graphs_pick(g, joint, 2, i);
        part[i] = graphs_reshape(g, part[i], 4, DIMS(-1, rows, 2, size));
        part[i] = graphs_turn(g, part[i], i == 1 ? DIMS(0, 2, 3, 1) : DIMS(0, 2, 1, 3));
    }
    char inputs[TEXT], factor[TEXT];
    int w = graphs_weights(g, 0, NULL, 0.35, 0.35), when = graphs_roll(g, 3);
    snprintf(factor, sizeof(factor), ",w%d", w);
    if (when == 0)
        part[0] = graphs_like(g, "Mul", part[0], factor);
    snprintf(inputs, sizeof(inputs), "v%d,v%d", part[0], part[1]);
    int scores = graphs_put(g, "MatMul", inputs, 4, DIMS(-1, 2, rows, rows));
    if (when == 1)
        scores = graphs_like(g, "Mul", scores, factor);
    scores = graphs_like(g, "Softmax", scores, "");
    onnx_build_int(&g->b, "axis", -1);
    snprintf(inputs, sizeof(inputs), "v%d,v%d", scores, part[2]);
    int z = graphs_put(g, "MatMul", inputs, 4, DIMS(-1, 2, rows, size));
    z = graphs_turn(g, z, DIMS(0, 2, 1, 3));
    z = graphs_reshape(g, z, 3, DIMS(-1, rows, 2 * size));
    z = graphs_linear(g, z, from.dim[1]);
    z = graphs_chance(g, 4) ? z : graphs_add(g, "Add", y, z);
    z = graphs_turn(g, z, DIMS(0, 2, 1));
    graphs_reshape(g, z, 4, from.dim);
}

/* ---- single nodes --------------------------------------------------------------------- */

/* A positive number per channel, or one for all. */
static void factor(struct graphs *g, int x)
{
    static const char *const ops[] = {"Mul", "Add", "Div", "Sub"};
    int64_t c = g->value[x].dim[1];
    const int64_t shapes[][4] = {{c, 1, 1}, {1, c, 1, 1}, {1, 1, 1, 1}, {c, 1, 1}};
    const int ranks[] = {3, 4, 4, 3};
    int shape = graphs_roll(g, 4);
    int w = graphs_weights(g, ranks[shape], shapes[shape], 0.5, 2);
    char inputs[TEXT];
    const struct graphs_value to = g->value[x];
    bool first = graphs_chance(g, 3);
    snprintf(inputs, sizeof(inputs), first ? "w%d,v%d" : "v%d,w%d", first ? w : x, first ? x : w);
    graphs_put(g, ops[graphs_roll(g, first ? 2 : 4)], inputs, 4, to.dim);
}

/* |x| + something, so that what cannot bear zeros can follow. */
static void steep(struct graphs *g, int x)
{
    static const char *const ops[] = {"Log", "Sqrt", "Reciprocal"};
    char more[TEXT];
    int64_t c = g->value[x].dim[1];
    int y = graphs_like(g, "Abs", x, "");
    snprintf(more, sizeof(more), ",w%d", graphs_weights(g, 3, DIMS(c, 1, 1), 0.5, 2));
    y = graphs_like(g, "Add", y, more);
    int kind = graphs_roll(g, 5);
    if (kind < 3) {
        graphs_like(g, ops[kind], y, "");
    } else if (kind == 3) {
        snprintf(more, sizeof(more), ",w%d", graphs_weights(g, 0, NULL, -0.5, -0.5));
        graphs_like(g, "Pow", y, more);
    } else {
        graphs_add(g, "Div", x, y);
    }
    if (graphs_chance(g, 2))
        graphs_square(g, g->n - 1, any_channels(g), 1 + 2 * graphs_roll(g, 2));
}

static void pair(struct graphs *g, int x)
{
    static const char *const ops[] = {"Add", "Add", "Add", "Mul", "Sub", "Max", "Sum"};
    const char *op = ops[graphs_roll(g, 7)];
    int other = partner(g, x, same_shape); /* x - x would be all ties */
    graphs_add(g, other == x ? "Add" : op, x, other);
}

/* Something of one pixel, or of one channel, with all of x. */
static void spread(struct graphs *g, int x)
{
    static const char *const ops[] = {"Add", "Mul", "Sub"};
    int y = graphs_chance(g, 2) ? graphs_mean(g, x) : graphs_square(g, x, 1, 3);
    y = graphs_activation(g, y);
    const struct graphs_value to = g->value[x];
    char inputs[TEXT];
    bool first = graphs_chance(g, 2);
    snprintf(inputs, sizeof(inputs), "v%d,v%d", first ? y : x, first ? x : y);
    graphs_put(g, ops[graphs_roll(g, 3)], inputs, 4, to.dim);
}

/* Operators of several inputs that take vectors for constants. */
static void limited(struct graphs *g, int x)
{
    static const char *const ops[] = {"PRelu", "Max", "Min"};
    int64_t c = g->value[x].dim[1];
    char more[TEXT];
    int kind = graphs_roll(g, 4);
    if (kind < 3) {
        int w = graphs_chance(g, 2) ? graphs_weights(g, 3, DIMS(c, 1, 1), -0.5, 0.5)
                                    : graphs_weights(g, 3, DIMS(1, 1, 1), 0.3, 0.3);
        snprintf(more, sizeof(more), ",w%d", w);
        graphs_like(g, ops[kind], x, more);
        return;
    }
    int w = graphs_weights(g, 3, DIMS(c, 1, 1), -0.5, 0.5);
    char inputs[TEXT];
    snprintf(inputs, sizeof(inputs), "v%d,w%d", x, w);
    snprintf(more, sizeof(more), "q%d", g->n);
    onnx_build_node(&g->b, "Greater", inputs, more);
    snprintf(inputs, sizeof(inputs), "q%d,v%d,w%d", g->n, x, w);
    const struct graphs_value to = g->value[x];
    graphs_put(g, "Where", inputs, 4, to.dim);
}

static void join(struct graphs *g, int x)
{
    int all[4] = {x}, n = 1 + graphs_roll(g, 3);
    int64_t channels = g->value[x].dim[1];
    for (int i = 1; i < n; i++) {
        all[i] = partner(g, x, same_size);
        channels += g->value[all[i]].dim[1];
    }
    if (channels <= 128)
        graphs_concat(g, all, n);
}

static void divide(struct graphs *g, int x)
{
    const int64_t *dim = g->value[x].dim;
    int64_t first = 1 + graphs_roll(g, (int)dim[1] > 1 ? (int)dim[1] - 1 : 1);
    char name[16], inputs[TEXT];
    snprintf(name, sizeof(name), "s%d", g->n);
    int64_t ends[][1] = {{0}, {first}};
    char from[16];
    snprintf(from, sizeof(from), "f%d", g->n);
    onnx_build_indices(&g->b, from, 1, DIMS(1), ends[0]);
    onnx_build_indices(&g->b, name, 1, DIMS(1), ends[1]);
    snprintf(inputs, sizeof(inputs), "v%d,%s,%s,axis1", x, from, name);
    graphs_put(g, "Slice", inputs, 4, DIMS(-1, first, dim[2], dim[3]));
}

static void single(struct graphs *g, int x)
{
    switch (graphs_roll(g, 12)) {
    case 0: graphs_pool(g, x); break;
    case 1: factor(g, x); break;
    case 2: steep(g, x); break;
    case 3: pair(g, x); break;
    case 4: join(g, x); break;
    case 5: divide(g, x); break;
    case 6: graphs_like(g, graphs_chance(g, 2) ? "Identity" : "Dropout", x, ""); break;
    case 7:
        graphs_like(g, "Softmax", x, "");
        onnx_build_int(&g->b, "axis", graphs_chance(g, 2) ? 1 : -1);
        break;
    case 8: graphs_norm(g, x); break;
    case 9: spread(g, x); break;
    case 10: limited(g, x); break;
    default: graphs_activation(g, x);
    }
}

static void put_something(struct graphs *g)
{
    static void (*const motifs[])(struct graphs *, int) = {
        any_conv, any_conv, any_conv, residual, dense, inverted, convnext, attention,
        single,   single,   single,   single};
    int x = any_map(g);
    if (is_large(g, x))
        graphs_square(g, x, any_channels(g), 1);
    else
        motifs[graphs_roll(g, 12)](g, x);
}

/* ---- whole graphs ------------------------------------------------------------------------ */

static void put_head(struct graphs *g, int x)
{
    const int64_t *dim = g->value[x].dim;
    bool pooled = !graphs_chance(g, 4) || dim[1] * dim[2] * dim[3] > 4000;
    int y = pooled ? graphs_mean(g, x) : x;
    dim = g->value[y].dim;
    int64_t features = dim[1] * dim[2] * dim[3];
    char inputs[TEXT];
    snprintf(inputs, sizeof(inputs), "v%d", y);
    y = graphs_chance(g, 2) ? graphs_put(g, "Flatten", inputs, 2, DIMS(-1, features))
                            : graphs_reshape(g, y, 2, DIMS(-1, features));
    y = graphs_linear(g, y, 5 + graphs_roll(g, 20));
    if (graphs_chance(g, 3))
        graphs_linear(g, graphs_activation(g, y), 7);
}

static void put_output(struct graphs *g, int v)
{
    char name[16];
    snprintf(name, sizeof(name), "v%d", v);
    onnx_build_output(&g->b, name, SAL_ONNX_FLOAT, -1, NULL);
}

void graphs_make(struct graphs *g, uint64_t number)
{
    *g = (struct graphs){.state = number * 0x9e3779b97f4a7c15u + 1, .n = 1};
    bool large = graphs_chance(g, 16);
    int size = large ? 80 : 18;
    int64_t dim[4] = {-1, graphs_chance(g, 2) ? 1 + graphs_roll(g, 4) : any_channels(g),
                      1 + graphs_roll(g, size), 1 + graphs_roll(g, size)};
    onnx_build_init(&g->b, 17);
    onnx_build_input(&g->b, "v0", SAL_ONNX_FLOAT, 4, dim);
    onnx_build_indices(&g->b, "axis1", 1, DIMS(1), DIMS(1));
    g->value[0].rank = 4;
    memcpy(g->value[0].dim, dim, sizeof(dim));
    int motifs = 1 + graphs_roll(g, large ? 2 : MOTIFS);
    for (int i = 0; i < motifs && g->n < GRAPHS_VALUES - 50; i++)
        put_something(g);
    if (g->n == 1)
        graphs_square(g, 0, 16, 1);
    int last = any_map(g);
    if (graphs_chance(g, 2))
        put_head(g, last);
    int rarely = 2 + graphs_roll(g, 40);
    for (int i = 1; i < g->n; i++)
        if (i == g->n - 1 || graphs_chance(g, rarely))
            put_output(g, i);
}

void graphs_release(struct graphs *g)
{
    onnx_build_release(&g->b);
}
