#include <string.h>

#include "kernel.h"

static bool borrow(const struct sal_onnx_tensor *source, struct sal_tensor *tensor)
{
    uintptr_t address = (uintptr_t)source->raw.data;
    int native = sizeof(sal_real) == sizeof(float) ? SAL_ONNX_FLOAT : SAL_ONNX_DOUBLE;
    if (source->type != native || source->typed || address % sizeof(sal_real) ||
        !source->count)
        return false;
    tensor->data = (void *)address;
    return true;
}

static enum sal_status convert(const struct sal_onnx_tensor *source,
                               struct sal_tensor *tensor, struct sal_error *err)
{
    if (tensor->kind == SAL_INT)
        return sal_onnx_tensor_read_int(source, tensor->i64, err);
#ifdef SAL_DOUBLE
    return sal_onnx_tensor_read_double(source, tensor->real, err);
#else
    return sal_onnx_tensor_read_float(source, tensor->real, err);
#endif
}

enum sal_status sal_tensor_from_onnx(struct sal_tensor *tensor,
                                     const struct sal_onnx_tensor *source,
                                     struct sal_arena *arena, struct sal_error *err)
{
    *tensor = (struct sal_tensor){.type = source->type, .shape.rank = source->rank};
    if (!sal_type_kind(source->type, &tensor->kind))
        return sal_fail(err, SAL_UNSUPPORTED, "tensor '%s' is %s, a type that is not supported",
                        source->name, sal_onnx_type_name(source->type));
    memcpy(tensor->shape.dim, source->dim, sizeof(int64_t) * (size_t)source->rank);
    if (borrow(source, tensor))
        return SAL_OK;
    tensor->data = sal_arena_alloc(arena, source->count, sal_kind_size(tensor->kind));
    if (!tensor->data)
        return sal_fail(err, SAL_LIMIT, "tensor '%s' is over the memory limit",
                        source->name);
    return convert(source, tensor, err);
}
