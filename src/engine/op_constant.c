#include <string.h>

#include "kernel.h"

/* ---- Constant ------------------------------------------------------------------ */

/* Values read once; sal_real or int64 by kind. */
struct constant {
    struct sal_tensor tensor;
};

static enum sal_status read_tensor(const struct sal_node *node,
                                   const struct sal_onnx_tensor *source,
                                   struct sal_arena *arena, struct sal_tensor *tensor,
                                   struct sal_error *err)
{
    enum sal_kind kind;
    if (!sal_type_kind(source->type, &kind))
        return sal_node_fail(node, err, SAL_UNSUPPORTED, "values of type %s",
                             sal_onnx_type_name(source->type));
    return sal_tensor_from_onnx(tensor, source, arena, err);
}

/* value_float, value_floats, value_int, value_ints. */
static enum sal_status read_list(const struct sal_node *node,
                                 const struct sal_onnx_attr *attr,
                                 struct sal_arena *arena, struct sal_tensor *tensor,
                                 struct sal_error *err)
{
    bool list = attr->type == SAL_ONNX_ATTR_FLOATS || attr->type == SAL_ONNX_ATTR_INTS;
    bool real = attr->type == SAL_ONNX_ATTR_FLOATS || attr->type == SAL_ONNX_ATTR_FLOAT;
    size_t n = list ? attr->n : 1;
    tensor->kind = real ? SAL_REAL : SAL_INT;
    tensor->type = real ? SAL_ONNX_FLOAT : SAL_ONNX_INT64;
    tensor->shape = (struct sal_shape){.rank = list, .dim = {(int64_t)n}};
    tensor->data = sal_arena_alloc(arena, n, sal_kind_size(tensor->kind));
    if (!tensor->data)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    for (size_t i = 0; i < n; i++) {
        if (real)
            tensor->real[i] = (sal_real)(list ? attr->floats[i] : attr->f);
        else
            tensor->i64[i] = list ? attr->ints[i] : attr->i;
    }
    return SAL_OK;
}

static const struct {
    const char *name;
    int type;
} forms[] = {
    {"value", SAL_ONNX_ATTR_TENSOR},
    {"value_float", SAL_ONNX_ATTR_FLOAT},
    {"value_floats", SAL_ONNX_ATTR_FLOATS},
    {"value_int", SAL_ONNX_ATTR_INT},
    {"value_ints", SAL_ONNX_ATTR_INTS},
};

static enum sal_status constant_parse(struct sal_node *node,
                                      const struct sal_onnx_node *source,
                                      struct sal_arena *arena, struct sal_error *err)
{
    struct constant *constant = sal_new(arena, struct constant, 1);
    if (!constant)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = constant;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct sal_onnx_attr *attr = sal_onnx_node_attr(source, forms[i].name);
        if (!attr)
            continue;
        if (attr->type != forms[i].type)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "attribute '%s' has the wrong type", forms[i].name);
        return attr->type == SAL_ONNX_ATTR_TENSOR
                   ? read_tensor(node, attr->tensor, arena, &constant->tensor, err)
                   : read_list(node, attr, arena, &constant->tensor, err);
    }
    return sal_node_fail(node, err, SAL_UNSUPPORTED,
                         "has neither value, value_float(s) nor value_int(s)");
}

static enum sal_status constant_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct constant *constant = infer->node->attr;
    return sal_infer_like(infer, 0, &constant->tensor, &constant->tensor.shape, err);
}

static void constant_forward(const struct sal_kernel *k)
{
    const struct constant *constant = k->node->attr;
    size_t n = (size_t)sal_shape_count(&k->out[0]->shape);
    if (n)
        memcpy(k->out[0]->data, constant->tensor.data,
               n * sal_kind_size(k->out[0]->kind));
}

const struct sal_op sal_op_Constant = {
    .name = "Constant",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 0,
    .max_in = 0,
    .max_out = 1,
    .parse = constant_parse,
    .infer = constant_infer,
    .forward = constant_forward,
};

/* ---- ConstantOfShape ----------------------------------------------------------- */

static enum sal_status filled_parse(struct sal_node *node,
                                    const struct sal_onnx_node *source,
                                    struct sal_arena *arena, struct sal_error *err)
{
    struct constant *constant = sal_new(arena, struct constant, 1);
    if (!constant)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = constant;
    const struct sal_onnx_attr *attr = sal_onnx_node_attr(source, "value");
    if (!attr) {
        const struct sal_onnx_attr zero = {.type = SAL_ONNX_ATTR_FLOAT};
        return read_list(node, &zero, arena, &constant->tensor, err);
    }
    if (attr->type != SAL_ONNX_ATTR_TENSOR || attr->tensor->count != 1)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "value must be a tensor of one element");
    return read_tensor(node, attr->tensor, arena, &constant->tensor, err);
}

static enum sal_status filled_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct constant *constant = infer->node->attr;
    const int64_t *dims;
    int64_t n;
    enum sal_status status = sal_infer_ints(infer, 0, "shape", &dims, &n, err);
    if (status)
        return status;
    if (n > SAL_RANK_MAX)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "output has more than %d axes", SAL_RANK_MAX);
    struct sal_shape shape = {.rank = (int)n};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = dims[i];
    return sal_infer_like(infer, 0, &constant->tensor, &shape, err);
}

static void filled_forward(const struct sal_kernel *k)
{
    const struct constant *constant = k->node->attr;
    const struct sal_tensor *y = k->out[0];
    int64_t n = sal_shape_count(&y->shape);
    for (int64_t i = 0; i < n; i++) {
        if (y->kind == SAL_REAL)
            y->real[i] = constant->tensor.real[0];
        else
            y->i64[i] = constant->tensor.i64[0];
    }
}

const struct sal_op sal_op_ConstantOfShape = {
    .name = "ConstantOfShape",
    .since = 9,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = filled_parse,
    .infer = filled_infer,
    .forward = filled_forward,
};
