#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "saliscope/model.h"

/* One row per operator, in the order of their ONNX names (capitals first). */
#define OPS(OP)                         \
    OP(Abs)                              \
    OP(Add)                              \
    OP(AffineGrid)                       \
    OP(And)                              \
    OP(AveragePool)                      \
    OP(BatchNormalization)               \
    OP(Cast)                             \
    OP(CastLike)                         \
    OP(Ceil)                             \
    OP(CenterCropPad)                    \
    OP(Clip)                             \
    OP(Col2Im)                           \
    OP(Concat)                           \
    OP(Constant)                         \
    OP(ConstantOfShape)                  \
    OP(conv)                             \
    OP(ConvTranspose)                    \
    OP(Cos)                              \
    OP(DepthToSpace)                     \
    OP(Div)                              \
    OP(Dropout)                          \
    OP(Elu)                              \
    OP(Equal)                            \
    OP(Erf)                              \
    OP(Exp)                              \
    OP(Expand)                           \
    OP(Flatten)                          \
    OP(Floor)                            \
    OP(Gather)                           \
    OP(gemm)                             \
    OP(GlobalAveragePool)                \
    OP(GlobalLpPool)                     \
    OP(GlobalMaxPool)                    \
    OP(Greater)                          \
    OP(GreaterOrEqual)                   \
    OP(GridSample)                       \
    OP(HardSigmoid)                      \
    OP(HardSwish)                        \
    OP(Identity)                         \
    OP(LRN)                              \
    OP(LeakyRelu)                        \
    OP(Less)                             \
    OP(LessOrEqual)                      \
    OP(Log)                              \
    OP(LogSoftmax)                       \
    OP(LpPool)                           \
    OP(matmul)                           \
    OP(Max)                              \
    OP(MaxPool)                          \
    OP(MaxUnpool)                        \
    OP(Min)                              \
    OP(Mish)                             \
    OP(Mul)                              \
    OP(Neg)                              \
    OP(Not)                              \
    OP(Or)                               \
    OP(Pad)                              \
    OP(Pow)                              \
    OP(Reciprocal)                       \
    OP(ReduceMax)                        \
    OP(ReduceMean)                       \
    OP(ReduceMin)                        \
    OP(ReduceSum)                        \
    OP(Relu)                             \
    OP(Reshape)                          \
    OP(Resize)                           \
    OP(RoiAlign)                         \
    OP(Round)                            \
    OP(Selu)                             \
    OP(Shape)                            \
    OP(Sigmoid)                          \
    OP(Sign)                             \
    OP(Sin)                              \
    OP(Size)                             \
    OP(Slice)                            \
    OP(Softmax)                          \
    OP(Softplus)                         \
    OP(Softsign)                         \
    OP(SpaceToDepth)                     \
    OP(Split)                            \
    OP(Sqrt)                             \
    OP(Squeeze)                          \
    OP(Sub)                              \
    OP(Sum)                              \
    OP(Tanh)                             \
    OP(ThresholdedRelu)                  \
    OP(Transpose)                        \
    OP(Unsqueeze)                        \
    OP(Upsample)                         \
    OP(Where)                            \
    OP(Xor)

#define DECLARE(id) extern const struct sal_op sal_op_##id;
#define ADDRESS(id) &sal_op_##id,

OPS(DECLARE)

const struct sal_op *const sal_ops[] = {OPS(ADDRESS) NULL};

static int by_name(const void *name, const void *row)
{
    const struct sal_op *const *op = row;
    return strcmp(name, (*op)->name);
}

const struct sal_op *sal_op_find(const char *name)
{
    size_t n = sizeof(sal_ops) / sizeof(sal_ops[0]) - 1;
    const struct sal_op *const *row = bsearch(name, sal_ops, n, sizeof(*row), by_name);
    return row ? *row : NULL;
}

bool sal_operator_at(int i, struct sal_operator *op)
{
    int n = sizeof(sal_ops) / sizeof(*sal_ops) - 1;
    if (i < 0 || i >= n)
        return false;
    *op = (struct sal_operator){.name = sal_ops[i]->name,
                                .since = sal_ops[i]->since,
                                .until = sal_ops[i]->until,
                                .gradient = sal_ops[i]->backward};
    return true;
}
