#include "kernel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stored.h"

/* ---- attributes ------------------------------------------------------------ */

static const char *source_name(const struct sal_onnx_node *source)
{
    if (source->name && *source->name)
        return source->name;
    return source->n_outputs ? source->outputs[0] : "";
}

/* *attr stays NULL where the node has none of that name. */
static enum sal_status attr_of_type(const struct sal_onnx_node *source, const char *name,
                                    int type, const char *type_name,
                                    const struct sal_onnx_attr **attr,
                                    struct sal_error *err)
{
    *attr = sal_onnx_node_attr(source, name);
    if (*attr && (*attr)->type != type)
        return sal_fail(err, SAL_BAD_INPUT, "%.60s '%.120s': attribute '%s' must be %s",
                        source->op, source_name(source), name, type_name);
    return SAL_OK;
}

enum sal_status sal_attr_int(const struct sal_onnx_node *source, const char *name,
                             int64_t fallback, int64_t *value, struct sal_error *err)
{
    const struct sal_onnx_attr *attr;
    enum sal_status status =
        attr_of_type(source, name, SAL_ONNX_ATTR_INT, "an integer", &attr, err);
    if (!status)
        *value = attr ? attr->i : fallback;
    return status;
}

enum sal_status sal_attr_float(const struct sal_onnx_node *source, const char *name,
                               double fallback, double *value, struct sal_error *err)
{
    const struct sal_onnx_attr *attr;
    enum sal_status status =
        attr_of_type(source, name, SAL_ONNX_ATTR_FLOAT, "a float", &attr, err);
    if (!status)
        *value = attr ? (double)attr->f : fallback;
    return status;
}

enum sal_status sal_attr_ints(const struct sal_onnx_node *source, const char *name,
                              const int64_t **values, int *n, struct sal_error *err)
{
    const struct sal_onnx_attr *attr;
    enum sal_status status =
        attr_of_type(source, name, SAL_ONNX_ATTR_INTS, "a list of integers", &attr, err);
    if (!status && attr && attr->n > INT32_MAX)
        status = sal_fail(err, SAL_LIMIT, "%.60s '%.120s': attribute '%s' is too long",
                          source->op, source_name(source), name);
    if (!status) {
        *values = attr ? attr->ints : NULL;
        *n = attr ? (int)attr->n : 0;
    }
    return status;
}

enum sal_status sal_attr_string(const struct sal_onnx_node *source, const char *name,
                                const char *fallback, const char **value,
                                struct sal_error *err)
{
    const struct sal_onnx_attr *attr;
    enum sal_status status =
        attr_of_type(source, name, SAL_ONNX_ATTR_STRING, "a string", &attr, err);
    if (!status)
        *value = attr ? attr->s : fallback;
    return status;
}

/* "floor, ceil or round" */
static void say_words(const char *const *words, int n, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < n && used < size; i++) {
        const char *between = !i ? "" : i < n - 1 ? ", " : " or ";
        int length = snprintf(text + used, size - used, "%s%s", between, words[i]);
        used += length < 0 ? size : (size_t)length;
    }
}

enum sal_status sal_attr_word(const struct sal_node *node,
                              const struct sal_onnx_node *source, const char *name,
                              const char *const *words, int n, int fallback, int *value,
                              struct sal_error *err)
{
    char text[300];
    const char *word;
    enum sal_status status = sal_attr_string(source, name, words[fallback], &word, err);
    if (status)
        return status;
    for (*value = 0; *value < n; ++*value)
        if (strcmp(word, words[*value]) == 0)
            return SAL_OK;
    say_words(words, n, text, sizeof(text));
    return sal_node_fail(node, err, SAL_BAD_INPUT, "%s is '%.40s', expected %s", name, word,
                         text);
}

/* ---- failing --------------------------------------------------------------- */

enum sal_status sal_node_fail(const struct sal_node *node, struct sal_error *err,
                              enum sal_status status, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return sal_fail(err, status, "%s '%.120s': %s", node->op->name, node->name, text);
}

/* ---- infer ----------------------------------------------------------------- */

enum sal_status sal_infer_present(const struct sal_infer *infer, int i,
                                  struct sal_error *err)
{
    if (!sal_infer_in(infer, i))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "input %d is missing", i);
    return SAL_OK;
}

enum sal_status sal_infer_kind(const struct sal_infer *infer, int i, enum sal_kind kind,
                               struct sal_error *err)
{
    static const char *const names[] = {
        [SAL_REAL] = "a floating type",
        [SAL_INT] = "an integer type",
    };
    enum sal_status status = sal_infer_present(infer, i, err);
    if (!status && infer->in[i]->kind != kind)
        status = sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                               "input %d is %s, %s is supported", i,
                               sal_onnx_type_name(infer->in[i]->type), names[kind]);
    return status;
}

enum sal_status sal_infer_constant(const struct sal_infer *infer, int i,
                                   struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, i, err);
    if (!status && !infer->in[i]->data)
        status = sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                               "input %d depends on the data, must be constant", i);
    if (!status)
        sal_stored_read(infer->in[i], NULL);
    return status;
}

enum sal_status sal_infer_ints(const struct sal_infer *infer, int i, const char *what,
                               const int64_t **values, int64_t *n, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, i, SAL_INT, err);
    if (status)
        return status;
    const struct sal_tensor *tensor = infer->in[i];
    if (tensor->shape.rank > 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%s has %d axes, must be a list", what, tensor->shape.rank);
    *n = sal_shape_count(&tensor->shape);
    *values = tensor->i64;
    /* A constant without elements has nothing to point at. */
    if (!tensor->data && *n)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "%s depends on the data, must be constant", what);
    return SAL_OK;
}

enum sal_status sal_infer_number(const struct sal_infer *infer, int i, const char *what,
                                 int64_t *value, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, i, err);
    if (status)
        return status;
    if (sal_shape_count(&infer->in[i]->shape) != 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "%s must be one number",
                             what);
    if (!infer->in[i]->data)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "%s depends on the data, must be constant", what);
    *value = sal_tensor_int(infer->in[i], 0);
    return SAL_OK;
}

enum sal_status sal_infer_list(const struct sal_infer *infer, int input_since, int i,
                               const char *what, const struct sal_int_list *list,
                               const int64_t **values, int64_t *n, struct sal_error *err)
{
    *values = NULL;
    *n = 0;
    if (infer->node->opset < input_since) {
        *values = list->values;
        *n = list->n;
        return SAL_OK;
    }
    return sal_infer_in(infer, i) ? sal_infer_ints(infer, i, what, values, n, err) : SAL_OK;
}

enum sal_status sal_infer_set(const struct sal_infer *infer, int i, enum sal_kind kind,
                              int type, const struct sal_shape *shape,
                              struct sal_error *err)
{
    if (i >= infer->node->n_out || !infer->out[i])
        return SAL_OK;
    int64_t count = 1;
    for (int axis = 0; axis < shape->rank; axis++) {
        int64_t dim = shape->dim[axis];
        if (dim < 0)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "output axis %d would have %" PRId64 " elements", axis,
                                 dim);
        /* Zeros do not excuse the other dims: products of some of them are taken. */
        if (dim && (__builtin_mul_overflow(count, dim, &count) || count >= SAL_COUNT_MAX))
            return sal_node_fail(infer->node, err, SAL_LIMIT,
                                 "output would have 2^40 elements or more");
    }
    infer->out[i]->kind = kind;
    infer->out[i]->type = type;
    infer->out[i]->shape = *shape;
    return SAL_OK;
}

struct sal_shape sal_saved_shape(int64_t bytes)
{
    return (struct sal_shape){.rank = 1, .dim = {(bytes + 7) / 8}};
}

enum sal_status sal_infer_saved(const struct sal_infer *infer, int64_t bytes,
                                struct sal_error *err)
{
    struct sal_shape shape = sal_saved_shape(bytes);
    return sal_infer_set(infer, 1, SAL_INT, SAL_ONNX_INT64, &shape, err);
}

enum sal_status sal_infer_like(const struct sal_infer *infer, int i,
                               const struct sal_tensor *tensor,
                               const struct sal_shape *shape, struct sal_error *err)
{
    return sal_infer_set(infer, i, tensor->kind, tensor->type, shape, err);
}

enum sal_status sal_infer_same(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    return status ? status
                  : sal_infer_like(infer, 0, infer->in[0], &infer->in[0]->shape, err);
}

enum sal_status sal_infer_same_real(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    return status ? status : sal_infer_same(infer, err);
}

enum sal_status sal_infer_axis(const struct sal_infer *infer, int64_t axis, int rank,
                               int past, int *out, struct sal_error *err)
{
    int64_t most = rank - 1 + past, least = -(int64_t)rank;
    if (axis < least || axis > most)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "axis is %" PRId64 ", must be %" PRId64 " to %" PRId64
                             " for %d axes",
                             axis, least, most, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return SAL_OK;
}

enum sal_status sal_infer_axes(const struct sal_infer *infer, const int64_t *axes,
                               int64_t n, int rank, bool chosen[SAL_RANK_MAX],
                               struct sal_error *err)
{
    for (int i = 0; i < SAL_RANK_MAX; i++)
        chosen[i] = false;
    for (int64_t i = 0; i < n; i++) {
        int axis = 0;
        enum sal_status status = sal_infer_axis(infer, axes[i], rank, 0, &axis, err);
        if (status)
            return status;
        if (chosen[axis])
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "axis %d is named twice", axis);
        chosen[axis] = true;
    }
    return SAL_OK;
}

/* ---- broadcasting ---------------------------------------------------------- */

/* The dim of shape that lies on axis of an output of that rank. */
static int64_t dim_at(const struct sal_shape *shape, int axis, int rank)
{
    int own = axis - (rank - shape->rank);
    return own < 0 ? 1 : shape->dim[own];
}

enum sal_status sal_infer_broadcast(const struct sal_infer *infer,
                                    const struct sal_shape *a, const struct sal_shape *b,
                                    struct sal_shape *out, struct sal_error *err)
{
    struct sal_shape result = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < result.rank; i++) {
        int64_t da = dim_at(a, i, result.rank), db = dim_at(b, i, result.rank);
        if (da != db && da != 1 && db != 1) {
            char text[2][96];
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "%s and %s do not broadcast",
                                 sal_shape_text(a, text[0], sizeof(text[0])),
                                 sal_shape_text(b, text[1], sizeof(text[1])));
        }
        result.dim[i] = da == 1 ? db : da;
    }
    *out = result;
    return SAL_OK;
}

void sal_broadcast_strides(const struct sal_shape *shape, const struct sal_shape *out,
                           int64_t stride[SAL_RANK_MAX])
{
    int64_t step = 1;
    for (int i = out->rank - 1; i >= 0; i--) {
        int64_t dim = dim_at(shape, i, out->rank);
        stride[i] = dim == 1 ? 0 : step;
        step *= dim;
    }
}
