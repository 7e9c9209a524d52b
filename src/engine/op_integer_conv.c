/* ConvInteger and QLinearConv: Conv of integers, exact, by im2col; the second takes the
 * sums back to integers with a scale. Padding is with the zero point, so it adds 0. */
#include "convolve.h"
#include "integer_product.h"
#include "real.h"

static const char integers_only[] =
    "convolves integers and has no gradient: explain the float model, or the form "
    "with QuantizeLinear and DequantizeLinear around float operators";

/* Where inputs lie; -1: the operator has no such input. */
struct roles {
    int x, w, x_zero, w_zero, x_scale, w_scale, y_scale, y_zero, bias;
};

static const struct roles integer_roles = {0, 1, 2, 3, -1, -1, -1, -1, -1};
static const struct roles qlinear_roles = {0, 3, 2, 5, 1, 4, 6, 7, 8};

struct conv {
    struct sal_window window; /* as the node says */
    int64_t group;
};

struct geometry {
    struct sal_columns columns; /* input and output of one channel */
    int64_t n, group;
    int64_t c, k; /* input and output channels of one group */
};

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct conv *conv = sal_new(arena, struct conv, 1);
    if (!conv)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = conv;
    enum sal_status status = sal_window_parse(node, source, 0, &conv->window, err);
    if (status || (status = sal_attr_int(source, "group", 1, &conv->group, err)))
        return status;
    if (conv->group < 1)
        return sal_node_fail(node, err, SAL_BAD_INPUT, "group must be at least 1");
    return SAL_OK;
}

/* Input i, where there is one, is of that kind and has 1 element or `most`. */
static enum sal_status check_share(const struct sal_infer *infer, int i, enum sal_kind kind,
                                   int64_t most, struct sal_error *err)
{
    if (i < 0 || !sal_infer_in(infer, i))
        return SAL_OK;
    enum sal_status status = sal_infer_kind(infer, i, kind, err);
    if (status)
        return status;
    int64_t count = sal_shape_count(&infer->in[i]->shape);
    if (count != 1 && count != most)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input %d has %lld elements, must have 1%s", i,
                             (long long)count, most > 1 ? " or one per output channel" : "");
    return SAL_OK;
}

static enum sal_status infer_conv(const struct sal_infer *infer, const struct roles *roles,
                                  int type, struct sal_error *err)
{
    const struct conv *conv = infer->node->attr;
    enum sal_status status = sal_infer_bytes(infer, roles->x, roles->x_zero, err);
    if (status || (status = sal_infer_bytes(infer, roles->w, roles->w_zero, err)) ||
        (status = sal_convolve_check(infer, roles->x, roles->w, conv->group, err)))
        return status;
    const struct sal_shape *x = &infer->in[roles->x]->shape;
    const struct sal_shape *w = &infer->in[roles->w]->shape;
    if ((status = check_share(infer, roles->x_zero, SAL_INT, 1, err)) ||
        (status = check_share(infer, roles->w_zero, SAL_INT, w->dim[0], err)) ||
        (status = check_share(infer, roles->x_scale, SAL_REAL, 1, err)) ||
        (status = check_share(infer, roles->w_scale, SAL_REAL, w->dim[0], err)) ||
        (status = check_share(infer, roles->y_scale, SAL_REAL, 1, err)) ||
        (status = check_share(infer, roles->y_zero, SAL_INT, 1, err)))
        return status;
    struct sal_shape shape = {.rank = x->rank, .dim = {x->dim[0], w->dim[0]}};
    struct sal_window fitted;
    status = sal_window_output(infer->node, &conv->window, x->rank - 2, w->dim + 2,
                               x->dim + 2, &fitted, shape.dim + 2, err);
    return status ? status : sal_infer_set(infer, 0, SAL_INT, type, &shape, err);
}

static enum sal_status infer_integer(const struct sal_infer *infer, struct sal_error *err)
{
    return infer_conv(infer, &integer_roles, SAL_ONNX_INT32, err);
}

static enum sal_status infer_qlinear(const struct sal_infer *infer, struct sal_error *err)
{
    const struct roles *roles = &qlinear_roles;
    enum sal_status status = sal_infer_bytes(infer, roles->y_zero, -1, err);
    if (status ||
        (status = infer_conv(infer, roles, infer->in[roles->y_zero]->type, err)))
        return status;
    const struct sal_tensor *bias = sal_infer_in(infer, roles->bias);
    int64_t channels = infer->in[roles->w]->shape.dim[0];
    if (bias && (bias->kind != SAL_INT || sal_shape_count(&bias->shape) != channels))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "bias must have %lld integers, one per output channel",
                             (long long)channels);
    return SAL_OK;
}

/* ---- the product --------------------------------------------------------------- */

/* Only the plain product makes int32. */
static const struct roles *roles_of(const struct sal_kernel *k)
{
    return k->out[0]->type == SAL_ONNX_INT32 ? &integer_roles : &qlinear_roles;
}

/* infer has accepted exactly this, so it cannot fail. */
static struct geometry geometry_of(const struct sal_kernel *k)
{
    const struct conv *conv = k->node->attr;
    const struct sal_shape *x = &k->in[roles_of(k)->x]->shape;
    const struct sal_shape *w = &k->in[roles_of(k)->w]->shape;
    struct geometry g = {
        .n = x->dim[0],
        .group = conv->group,
        .c = w->dim[1],
        .k = w->dim[0] / conv->group,
    };
    struct sal_window fitted;
    int64_t out[SAL_WINDOW_AXES];
    sal_window_output(k->node, &conv->window, x->rank - 2, w->dim + 2, x->dim + 2, &fitted,
                      out, NULL);
    sal_columns_init(&g.columns, &fitted, x->dim + 2, out);
    return g;
}

/* Element i of an input that may be left out, or have one for all. */
static int64_t integer_at(const struct sal_kernel *k, int input, int64_t i)
{
    const struct sal_tensor *tensor = input < 0 ? NULL : sal_kernel_in(k, input);
    if (!tensor)
        return 0;
    return tensor->i64[sal_shape_count(&tensor->shape) == 1 ? 0 : i];
}

/* Product i is one image and group. */
static void fill_weights(const struct sal_integer_product *p, int64_t i,
                         struct sal_area area, double *to)
{
    const struct geometry *g = p->context;
    const struct roles *roles = roles_of(p->k);
    for (int64_t row = area.row; row < area.row + area.rows; row++) {
        int64_t channel = i % g->group * g->k + row;
        int64_t zero = integer_at(p->k, roles->w_zero, channel);
        const int64_t *w = p->k->in[roles->w]->i64 + channel * p->depth + area.column;
        for (int64_t at = 0; at < area.columns; at++)
            *to++ = (double)(w[at] - zero);
    }
}

/* Where a tap reads at position p; -1: in the padding. */
static int64_t source(const struct sal_columns *columns, const struct sal_tap *tap,
                      int64_t p)
{
    int64_t x = p % columns->out[2], rows = p / columns->out[2];
    int64_t y = rows % columns->out[1], z = rows / columns->out[1];
    bool inside = z >= tap->lo[0] && z < tap->hi[0] && y >= tap->lo[1] &&
                  y < tap->hi[1] && x >= tap->lo[2] && x < tap->hi[2];
    return inside ? sal_columns_row(columns, tap, z, y) + x * columns->window.stride[2]
                  : -1;
}

static void fill_columns(const struct sal_integer_product *p, int64_t i,
                         struct sal_area area, double *to)
{
    const struct geometry *g = p->context;
    const struct roles *roles = roles_of(p->k);
    const struct sal_columns *columns = &g->columns;
    int64_t zero = integer_at(p->k, roles->x_zero, 0);
    for (int64_t row = area.row; row < area.row + area.rows; row++) {
        int64_t channel = i * g->c + row / columns->taps;
        const struct sal_tap tap = sal_columns_tap(columns, row % columns->taps);
        const int64_t *plane = p->k->in[roles->x]->i64 + channel * columns->pixels_in;
        for (int64_t pixel = area.column; pixel < area.column + area.columns; pixel++) {
            int64_t from = source(columns, &tap, pixel);
            *to++ = from < 0 ? 0 : (double)(plane[from] - zero);
        }
    }
}

static void take_integer(const struct sal_integer_product *p, int64_t i,
                         struct sal_area area, const double *sums)
{
    const struct geometry *g = p->context;
    for (int64_t row = area.row; row < area.row + area.rows; row++) {
        int64_t *y = p->k->out[0]->i64 + (i * g->k + row) * g->columns.pixels_out;
        for (int64_t pixel = area.column; pixel < area.column + area.columns; pixel++)
            y[pixel] = sal_int_wrap(SAL_ONNX_INT32, (int64_t)*sums++);
    }
}

static void take_qlinear(const struct sal_integer_product *p, int64_t i,
                         struct sal_area area, const double *sums)
{
    const struct geometry *g = p->context;
    const struct sal_kernel *k = p->k;
    const struct roles *roles = &qlinear_roles;
    const struct sal_tensor *w_scale = k->in[roles->w_scale];
    const sal_real zero = (sal_real)k->in[roles->y_zero]->i64[0];
    const int64_t least = sal_int_lowest(k->out[0]->type);
    const int64_t most = sal_int_highest(k->out[0]->type);
    for (int64_t row = area.row; row < area.row + area.rows; row++) {
        int64_t channel = i % g->group * g->k + row;
        double bias = (double)integer_at(k, roles->bias, channel);
        bool one = sal_shape_count(&w_scale->shape) == 1;
        sal_real scale = k->in[roles->x_scale]->real[0] *
                         w_scale->real[one ? 0 : channel] /
                         k->in[roles->y_scale]->real[0];
        int64_t *y = k->out[0]->i64 + (i * g->k + row) * g->columns.pixels_out;
        for (int64_t pixel = area.column; pixel < area.column + area.columns; pixel++) {
            sal_real value = sal_rint((sal_real)(*sums++ + bias) * scale) + zero;
            y[pixel] = sal_int_clamp(value, least, most);
        }
    }
}

static void run(const struct sal_kernel *k,
                void (*take)(const struct sal_integer_product *p, int64_t i,
                             struct sal_area area, const double *sums))
{
    struct geometry g = geometry_of(k);
    sal_integer_product(&(struct sal_integer_product){
        .k = k,
        .context = &g,
        .count = g.n * g.group,
        .m = g.k,
        .n = g.columns.pixels_out,
        .depth = g.c * g.columns.taps,
        .a = fill_weights,
        .b = fill_columns,
        .take = take,
    });
}

static void forward_integer(const struct sal_kernel *k)
{
    run(k, take_integer);
}

static void forward_qlinear(const struct sal_kernel *k)
{
    run(k, take_qlinear);
}

static size_t scratch(const struct sal_kernel *k, bool backward)
{
    (void)k;
    return backward ? 0 : sal_integer_product_scratch();
}

static double macs(const struct sal_kernel *k)
{
    struct geometry g = geometry_of(k);
    return (double)g.n * (double)(g.group * g.k) * (double)g.columns.pixels_out *
           (double)(g.c * g.columns.taps);
}

const struct sal_op sal_op_ConvInteger = {
    .name = "ConvInteger",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 4,
    .max_out = 1,
    .parse = parse,
    .infer = infer_integer,
    .forward = forward_integer,
    .scratch = scratch,
    .macs = macs,
    .carry = sal_convolve_carry,
    .opaque = integers_only,
    .mixes = true,
};

const struct sal_op sal_op_QLinearConv = {
    .name = "QLinearConv",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 8,
    .max_in = 9,
    .max_out = 1,
    .parse = parse,
    .infer = infer_qlinear,
    .forward = forward_qlinear,
    .scratch = scratch,
    .macs = macs,
    .carry = sal_convolve_carry,
    .opaque = integers_only,
    .mixes = true,
};
