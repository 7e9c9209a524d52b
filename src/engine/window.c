#include "window.h"

#include <inttypes.h>

#include "kernel.h"

#define SIZE_MOST INT64_C(2147483647)

struct list {
    const char *name;
    int64_t least;
    int per_axis;
    const int64_t *values;
    int n;
};

enum { KERNEL, STRIDES, DILATIONS, PADS, LISTS };

static enum sal_status read_list(const struct sal_node *node,
                                 const struct sal_onnx_node *source,
                                 struct list *list, struct sal_error *err)
{
    enum sal_status status =
        sal_attr_ints(source, list->name, &list->values, &list->n, err);
    if (status)
        return status;
    for (int i = 0; i < list->n; i++)
        if (list->values[i] < list->least || list->values[i] > SIZE_MOST)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "%s[%d] is %" PRId64 ", must be %" PRId64 " or more",
                                 list->name, i, list->values[i], list->least);
    return SAL_OK;
}

/* -1 and 0 are those of sal_window_parse. */
static enum sal_status find_rank(const struct sal_node *node, const struct list *list,
                                 int wanted, int *rank, struct sal_error *err)
{
    if (wanted < 0 && !list[KERNEL].n)
        return sal_node_fail(node, err, SAL_BAD_INPUT, "kernel_shape is missing");
    *rank = wanted > 0 ? wanted : 0;
    for (int i = 0; i < LISTS && !*rank; i++)
        *rank = list[i].n / list[i].per_axis;
    if (*rank > SAL_WINDOW_AXES)
        return sal_node_fail(node, err, SAL_UNSUPPORTED,
                             "%d spatial axes, at most %d are supported", *rank,
                             SAL_WINDOW_AXES);
    for (int i = 0; i < LISTS; i++)
        if (list[i].n && list[i].n != *rank * list[i].per_axis)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "%s has %d entries, expected %d for %d spatial axes",
                                 list[i].name, list[i].n, *rank * list[i].per_axis,
                                 *rank);
    return SAL_OK;
}

static enum sal_status read_auto_pad(const struct sal_node *node,
                                     const struct sal_onnx_node *source, int *auto_pad,
                                     struct sal_error *err)
{
    static const char *const names[] = {
        [SAL_PAD_NOTSET] = "NOTSET",
        [SAL_PAD_SAME_UPPER] = "SAME_UPPER",
        [SAL_PAD_SAME_LOWER] = "SAME_LOWER",
        [SAL_PAD_VALID] = "VALID",
    };
    return sal_attr_word(node, source, "auto_pad", names, sizeof(names) / sizeof(*names),
                         SAL_PAD_NOTSET, auto_pad, err);
}

static void fill(int64_t *to, const int64_t *from, int n, int64_t fallback)
{
    for (int i = 0; i < SAL_WINDOW_AXES; i++)
        to[i] = from && i < n ? from[i] : fallback;
}

enum sal_status sal_window_parse(const struct sal_node *node,
                                 const struct sal_onnx_node *source, int rank,
                                 struct sal_window *window, struct sal_error *err)
{
    struct list list[LISTS] = {
        [KERNEL] = {.name = "kernel_shape", .least = 1, .per_axis = 1},
        [STRIDES] = {.name = "strides", .least = 1, .per_axis = 1},
        [DILATIONS] = {.name = "dilations", .least = 1, .per_axis = 1},
        [PADS] = {.name = "pads", .least = 0, .per_axis = 2},
    };
    *window = (struct sal_window){0};
    enum sal_status status = SAL_OK;
    for (int i = 0; i < LISTS && !status; i++)
        status = read_list(node, source, &list[i], err);
    int64_t ceil = 0;
    (void)(status || (status = find_rank(node, list, rank, &window->rank, err)) ||
           (status = read_auto_pad(node, source, &window->auto_pad, err)) ||
           (status = sal_attr_int(source, "ceil_mode", 0, &ceil, err)));
    if (status)
        return status;
    int n = window->rank;
    window->ceil = ceil != 0;
    fill(window->kernel, list[KERNEL].values, n, 0);
    fill(window->stride, list[STRIDES].values, n, 1);
    fill(window->dilation, list[DILATIONS].values, n, 1);
    fill(window->pad_begin, list[PADS].values, n, 0);
    fill(window->pad_end, list[PADS].n ? list[PADS].values + n : NULL, n, 0);
    return SAL_OK;
}

static enum sal_status take_kernel(const struct sal_node *node, int rank,
                                   const int64_t *kernel, struct sal_window *window,
                                   struct sal_error *err)
{
    if (rank < 1 || rank > SAL_WINDOW_AXES)
        return sal_node_fail(node, err, SAL_UNSUPPORTED,
                             "input has %d spatial axes, 1 to %d are supported", rank,
                             SAL_WINDOW_AXES);
    if (window->rank && window->rank != rank)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "window has %d spatial axes, input has %d", window->rank,
                             rank);
    window->rank = rank;
    for (int i = 0; i < rank; i++) {
        if (kernel && window->kernel[i] && window->kernel[i] != kernel[i])
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "kernel_shape[%d] is %" PRId64 ", weight has %" PRId64,
                                 i, window->kernel[i], kernel[i]);
        if (kernel)
            window->kernel[i] = kernel[i];
        if (window->kernel[i] < 1 || window->kernel[i] > SIZE_MOST)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "kernel is %" PRId64 " along spatial axis %d, must be 1 "
                                 "or more",
                                 window->kernel[i], i);
    }
    return SAL_OK;
}

static int64_t reach(const struct sal_window *window, int axis)
{
    return (window->kernel[axis] - 1) * window->dilation[axis] + 1;
}

/* ceil(in / stride) windows, with whatever pads that takes. */
static int64_t fit_same(struct sal_window *window, int axis, int64_t in)
{
    int64_t stride = window->stride[axis];
    int64_t out = (in + stride - 1) / stride;
    int64_t pad = (out - 1) * stride + reach(window, axis) - in;
    if (pad < 0)
        pad = 0;
    int64_t less = pad / 2, more = pad - less;
    bool upper = window->auto_pad == SAL_PAD_SAME_UPPER;
    window->pad_begin[axis] = upper ? less : more;
    window->pad_end[axis] = upper ? more : less;
    return out;
}

static int64_t fit_padded(struct sal_window *window, int axis, int64_t in)
{
    if (window->auto_pad == SAL_PAD_VALID)
        window->pad_begin[axis] = window->pad_end[axis] = 0;
    int64_t stride = window->stride[axis];
    int64_t before = window->pad_begin[axis];
    int64_t room = in + before + window->pad_end[axis] - reach(window, axis);
    bool ceil = window->ceil && window->auto_pad == SAL_PAD_NOTSET;
    if (ceil)
        room += stride - 1;
    if (room < 0)
        return 0;
    int64_t out = room / stride + 1;
    if (ceil && (out - 1) * stride >= in + before)
        out--;
    return out;
}

enum sal_status sal_window_output(const struct sal_node *node,
                                  const struct sal_window *window, int rank,
                                  const int64_t *kernel, const int64_t *in,
                                  struct sal_window *fitted, int64_t *out,
                                  struct sal_error *err)
{
    *fitted = *window;
    enum sal_status status = take_kernel(node, rank, kernel, fitted, err);
    if (status)
        return status;
    bool same = window->auto_pad == SAL_PAD_SAME_UPPER ||
                window->auto_pad == SAL_PAD_SAME_LOWER;
    for (int i = 0; i < rank; i++) {
        int64_t n = in[i] < 1 || in[i] > SIZE_MOST ? 0
                    : same                         ? fit_same(fitted, i, in[i])
                                                   : fit_padded(fitted, i, in[i]);
        if (n < 1)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "window reaches over %" PRId64 " along spatial axis %d, "
                                 "the padded input has %" PRId64,
                                 reach(fitted, i), i,
                                 in[i] + fitted->pad_begin[i] + fitted->pad_end[i]);
        out[i] = n;
    }
    fitted->auto_pad = SAL_PAD_NOTSET;
    fitted->ceil = false;
    return SAL_OK;
}

/* ---- transposed ---------------------------------------------------------------- */

/* What the windows along one axis cover; SAL_COUNT_MAX where that is 2^40 or more. */
static int64_t spread(const struct sal_window *window, int axis, int64_t in,
                      int64_t padding)
{
    int64_t far = (in - 1) * window->stride[axis]; /* each below 2^31 */
    int64_t covered;
    if (__builtin_add_overflow(far, reach(window, axis) + padding, &covered))
        return SAL_COUNT_MAX;
    return sal_least(covered, SAL_COUNT_MAX);
}

/* Shares out the pads that make `covered` elements `out`. */
static void share_pads(struct sal_window *window, int axis, int64_t covered, int64_t out)
{
    int64_t pads = covered > out ? covered - out : 0;
    bool upper = window->auto_pad == SAL_PAD_SAME_UPPER;
    window->pad_begin[axis] = upper ? pads / 2 : pads - pads / 2;
    window->pad_end[axis] = pads - window->pad_begin[axis];
}

static int64_t spread_out(struct sal_window *window, int axis, int64_t in,
                          struct sal_window_target target)
{
    int64_t covered = spread(window, axis, in, target.padding ? target.padding[axis] : 0);
    bool same = window->auto_pad == SAL_PAD_SAME_UPPER ||
                window->auto_pad == SAL_PAD_SAME_LOWER;
    int64_t out = target.out ? target.out[axis] : in * window->stride[axis];
    if (target.out || same) {
        share_pads(window, axis, covered, out);
        return out;
    }
    if (window->auto_pad == SAL_PAD_VALID)
        window->pad_begin[axis] = window->pad_end[axis] = 0;
    return covered - window->pad_begin[axis] - window->pad_end[axis];
}

enum sal_status sal_window_transpose(const struct sal_node *node,
                                     const struct sal_window *window, int rank,
                                     const int64_t *kernel, const int64_t *in,
                                     struct sal_window_target target,
                                     struct sal_window *fitted, int64_t *out,
                                     struct sal_error *err)
{
    *fitted = *window;
    enum sal_status status = take_kernel(node, rank, kernel, fitted, err);
    for (int i = 0; i < rank && !status; i++) {
        if (in[i] < 1 || in[i] > SIZE_MOST)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "input has %" PRId64 " along spatial axis %d", in[i], i);
        out[i] = spread_out(fitted, i, in[i], target);
        if (out[i] < 1)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "pads leave %" PRId64 " elements along spatial axis %d",
                                 out[i], i);
        if (out[i] > SIZE_MOST)
            return sal_node_fail(node, err, SAL_LIMIT,
                                 "output would have over 2^31 elements along spatial axis "
                                 "%d",
                                 i);
    }
    fitted->auto_pad = SAL_PAD_NOTSET;
    return status;
}

/* ---- lifting ------------------------------------------------------------------- */

static void shift(int64_t *list, int by, int64_t filler)
{
    for (int i = SAL_WINDOW_AXES - 1; i >= 0; i--)
        list[i] = i >= by ? list[i - by] : filler;
}

void sal_window_lift(struct sal_window *window, int64_t in[SAL_WINDOW_AXES],
                     int64_t out[SAL_WINDOW_AXES])
{
    int by = SAL_WINDOW_AXES - window->rank;
    shift(window->kernel, by, 1);
    shift(window->stride, by, 1);
    shift(window->dilation, by, 1);
    shift(window->pad_begin, by, 0);
    shift(window->pad_end, by, 0);
    shift(in, by, 1);
    shift(out, by, 1);
    window->rank = SAL_WINDOW_AXES;
}
