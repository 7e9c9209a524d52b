#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "saliscope/model.h"

/* One row per operator, in the order of their ONNX names (capitals first). */
#define OPS(OP)                             \
    OP(Abs)                                 \
    OP(Acos)                                \
    OP(Acosh)                               \
    OP(Add)                                 \
    OP(AffineGrid)                          \
    OP(And)                                 \
    OP(ArgMax)                              \
    OP(ArgMin)                              \
    OP(Asin)                                \
    OP(Asinh)                               \
    OP(Atan)                                \
    OP(Atanh)                               \
    OP(Attention)                           \
    OP(AveragePool)                         \
    OP(BatchNormalization)                  \
    OP(BitShift)                            \
    OP(BitwiseAnd)                          \
    OP(BitwiseNot)                          \
    OP(BitwiseOr)                           \
    OP(BitwiseXor)                          \
    OP(Cast)                                \
    OP(CastLike)                            \
    OP(Ceil)                                \
    OP(Celu)                                \
    OP(CenterCropPad)                       \
    OP(Clip)                                \
    OP(Col2Im)                              \
    OP(Compress)                            \
    OP(Concat)                              \
    OP(Constant)                            \
    OP(ConstantOfShape)                     \
    OP(Conv)                                \
    OP(ConvInteger)                         \
    OP(ConvTranspose)                       \
    OP(Cos)                                 \
    OP(Cosh)                                \
    OP(CumSum)                              \
    OP(DepthToSpace)                        \
    OP(DequantizeLinear)                    \
    OP(Det)                                 \
    OP(Div)                                 \
    OP(Dropout)                             \
    OP(DynamicQuantizeLinear)               \
    OP(Einsum)                              \
    OP(Elu)                                 \
    OP(Equal)                               \
    OP(Erf)                                 \
    OP(Exp)                                 \
    OP(Expand)                              \
    OP(EyeLike)                             \
    OP(Flatten)                             \
    OP(Floor)                               \
    OP(Gather)                              \
    OP(GatherElements)                      \
    OP(GatherND)                            \
    OP(Gelu)                                \
    OP(Gemm)                                \
    OP(GlobalAveragePool)                   \
    OP(GlobalLpPool)                        \
    OP(GlobalMaxPool)                       \
    OP(Greater)                             \
    OP(GreaterOrEqual)                      \
    OP(GridSample)                          \
    OP(GroupNormalization)                  \
    OP(HardSigmoid)                         \
    OP(HardSwish)                           \
    OP(Hardmax)                             \
    OP(Identity)                            \
    OP(InstanceNormalization)               \
    OP(IsInf)                               \
    OP(IsNaN)                               \
    OP(LRN)                                 \
    OP(LayerNormalization)                  \
    OP(LeakyRelu)                           \
    OP(Less)                                \
    OP(LessOrEqual)                         \
    OP(Log)                                 \
    OP(LogSoftmax)                          \
    OP(LpNormalization)                     \
    OP(LpPool)                              \
    OP(MatMul)                              \
    OP(MatMulInteger)                       \
    OP(Max)                                 \
    OP(MaxPool)                             \
    OP(MaxUnpool)                           \
    OP(Mean)                                \
    OP(MeanVarianceNormalization)           \
    OP(Min)                                 \
    OP(Mish)                                \
    OP(Mod)                                 \
    OP(Mul)                                 \
    OP(Neg)                                 \
    OP(NegativeLogLikelihoodLoss)           \
    OP(NonZero)                             \
    OP(Not)                                 \
    OP(OneHot)                              \
    OP(Or)                                  \
    OP(PRelu)                               \
    OP(Pad)                                 \
    OP(Pow)                                 \
    OP(QLinearConv)                         \
    OP(QLinearMatMul)                       \
    OP(QuantizeLinear)                      \
    OP(RMSNormalization)                    \
    OP(Range)                               \
    OP(Reciprocal)                          \
    OP(ReduceL1)                            \
    OP(ReduceL2)                            \
    OP(ReduceLogSum)                        \
    OP(ReduceLogSumExp)                     \
    OP(ReduceMax)                           \
    OP(ReduceMean)                          \
    OP(ReduceMin)                           \
    OP(ReduceProd)                          \
    OP(ReduceSum)                           \
    OP(ReduceSumSquare)                     \
    OP(Relu)                                \
    OP(Reshape)                             \
    OP(Resize)                              \
    OP(ReverseSequence)                     \
    OP(RoiAlign)                            \
    OP(RotaryEmbedding)                     \
    OP(Round)                               \
    OP(Scatter)                             \
    OP(ScatterElements)                     \
    OP(ScatterND)                           \
    OP(Selu)                                \
    OP(Shape)                               \
    OP(Shrink)                              \
    OP(Sigmoid)                             \
    OP(Sign)                                \
    OP(Sin)                                 \
    OP(Sinh)                                \
    OP(Size)                                \
    OP(Slice)                               \
    OP(Softmax)                             \
    OP(SoftmaxCrossEntropyLoss)             \
    OP(Softplus)                            \
    OP(Softsign)                            \
    OP(SpaceToDepth)                        \
    OP(Split)                               \
    OP(Sqrt)                                \
    OP(Squeeze)                             \
    OP(Sub)                                 \
    OP(Sum)                                 \
    OP(Swish)                               \
    OP(Tan)                                 \
    OP(Tanh)                                \
    OP(ThresholdedRelu)                     \
    OP(Tile)                                \
    OP(TopK)                                \
    OP(Transpose)                           \
    OP(Trilu)                               \
    OP(Unique)                              \
    OP(Unsqueeze)                           \
    OP(Upsample)                            \
    OP(Where)                               \
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
