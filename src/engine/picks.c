#include "picks.h"

#include <inttypes.h>

static void lay_elements(struct sal_picks *picks, const struct sal_shape *whole,
                         const struct sal_tensor *indices, int axis)
{
    const struct sal_shape *part = &indices->shape;
    int64_t inner = sal_shape_span(part, axis + 1, part->rank);
    *picks = (struct sal_picks){
        .lines = sal_shape_span(whole, 0, axis) *
                 sal_shape_span(whole, axis + 1, whole->rank),
        .width = 1,
        .rows = whole->dim[axis],
        .step = sal_shape_span(whole, axis + 1, whole->rank),
        .n = part->dim[axis],
        .part_step = inner,
        .index_step = inner,
        .index = indices->i64,
        .depth = 1,
        .dim = {whole->dim[axis]},
        .by_element = true,
        .axis = axis,
        .whole = *whole,
        .part = *part,
    };
}

static void lay_tuples(struct sal_picks *picks, const struct sal_shape *whole,
                       const struct sal_tensor *indices, int batch_axes)
{
    const struct sal_shape *shape = &indices->shape;
    int depth = (int)shape->dim[shape->rank - 1];
    int64_t width = sal_shape_span(whole, batch_axes + depth, whole->rank);
    *picks = (struct sal_picks){
        .lines = sal_shape_span(whole, 0, batch_axes) * width,
        .width = width,
        .rows = sal_shape_span(whole, batch_axes, batch_axes + depth),
        .step = width,
        .n = sal_shape_span(shape, batch_axes, shape->rank - 1),
        .part_step = width,
        .index_step = depth,
        .index = indices->i64,
        .depth = depth,
    };
    for (int i = 0; i < depth; i++)
        picks->dim[i] = whole->dim[batch_axes + i];
}

void sal_picks_lay(struct sal_picks *picks, const struct sal_pick *pick,
                   const struct sal_kernel *k)
{
    const struct sal_shape *whole = &k->in[0]->shape;
    int64_t axis = pick->axis < 0 ? pick->axis + whole->rank : pick->axis;
    if (pick->by_tuple)
        lay_tuples(picks, whole, k->in[1], (int)pick->batch_axes);
    else
        lay_elements(picks, whole, k->in[1], (int)axis);
}

/* ---- infer --------------------------------------------------------------------- */

static enum sal_status check_values(const struct sal_infer *infer, const int64_t *dim,
                                    int depth, struct sal_error *err)
{
    const struct sal_tensor *indices = infer->in[1];
    int64_t n = indices->data ? sal_shape_count(&indices->shape) : 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t here = dim[i % depth];
        if (indices->i64[i] < -here || indices->i64[i] >= here)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "index %" PRId64 " is outside an axis of %" PRId64
                                 " elements",
                                 indices->i64[i], here);
    }
    return SAL_OK;
}

static enum sal_status infer_elements(const struct sal_infer *infer, int64_t axis_given,
                                      struct sal_shape *result, struct sal_error *err)
{
    int axis = 0;
    enum sal_status status = sal_infer_axis(infer, axis_given, infer->in[0]->shape.rank, 0,
                                            &axis, err);
    if (status)
        return status;
    const struct sal_shape *whole = &infer->in[0]->shape;
    const struct sal_shape *part = &infer->in[1]->shape;
    bool fits = whole->rank == part->rank;
    for (int i = 0; fits && i < whole->rank; i++)
        fits = i == axis || part->dim[i] <= whole->dim[i];
    if (!fits) {
        char text[2][96];
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "indices are %s, must have the axes of the %s data and be "
                             "no longer but along axis %d",
                             sal_shape_text(part, text[0], sizeof(text[0])),
                             sal_shape_text(whole, text[1], sizeof(text[1])), axis);
    }
    *result = *part;
    return check_values(infer, &whole->dim[axis], 1, err);
}

/* Tuples and what they index, but for the values. */
static enum sal_status check_tuples(const struct sal_infer *infer, int64_t batch_axes,
                                    struct sal_error *err)
{
    const struct sal_shape *whole = &infer->in[0]->shape;
    const struct sal_shape *indices = &infer->in[1]->shape;
    if (batch_axes < 0 || batch_axes >= whole->rank || batch_axes >= indices->rank)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "batch_dims is %" PRId64 ", data has %d axes and indices have %d",
                             batch_axes, whole->rank, indices->rank);
    int64_t depth = indices->dim[indices->rank - 1];
    if (depth < 1 || depth > whole->rank - batch_axes)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "an index has %" PRId64 " entries, must have 1 to %" PRId64, depth,
                             whole->rank - batch_axes);
    for (int i = 0; i < batch_axes; i++)
        if (whole->dim[i] != indices->dim[i])
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "batch axis %d has %" PRId64 " elements in data, %" PRId64
                                 " in indices",
                                 i, whole->dim[i], indices->dim[i]);
    return SAL_OK;
}

static enum sal_status infer_tuples(const struct sal_infer *infer, int64_t batch_axes,
                                    struct sal_shape *part, struct sal_error *err)
{
    const struct sal_shape *whole = &infer->in[0]->shape;
    const struct sal_shape *indices = &infer->in[1]->shape;
    enum sal_status status = check_tuples(infer, batch_axes, err);
    if (status)
        return status;
    int depth = (int)indices->dim[indices->rank - 1], first = (int)batch_axes + depth;
    if (indices->rank - 1 + whole->rank - first > SAL_RANK_MAX)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "output has more than %d axes", SAL_RANK_MAX);
    *part = *indices;
    part->rank--;
    for (int i = first; i < whole->rank; i++)
        part->dim[part->rank++] = whole->dim[i];
    return check_values(infer, &whole->dim[batch_axes], depth, err);
}

enum sal_status sal_picks_infer(const struct sal_infer *infer,
                                const struct sal_pick *pick, struct sal_shape *part,
                                struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_INT, err)))
        return status;
    return pick->by_tuple ? infer_tuples(infer, pick->batch_axes, part, err)
                          : infer_elements(infer, pick->axis, part, err);
}

/* ---- carries ------------------------------------------------------------------- */

/* The axes that part and whole share: by element all but one, by tuple those in front
 * and those behind the indexed ones. */
static int shared_axes(const struct sal_pick *pick, const struct sal_kernel *k,
                       int whole_axis[SAL_RANK_MAX], int part_axis[SAL_RANK_MAX])
{
    const struct sal_shape *whole = &k->in[0]->shape, *indices = &k->in[1]->shape;
    int64_t axis = pick->axis < 0 ? pick->axis + whole->rank : pick->axis;
    int depth = (int)indices->dim[indices->rank - 1], n = 0;
    for (int i = 0; i < whole->rank; i++) {
        bool front = i < pick->batch_axes, behind = i >= pick->batch_axes + depth;
        if (pick->by_tuple ? !front && !behind : i == axis)
            continue;
        whole_axis[n] = i;
        part_axis[n++] = pick->by_tuple && behind
                             ? i - (int)pick->batch_axes - depth + indices->rank - 1
                             : i;
    }
    return n;
}

void sal_picks_carry_whole(const struct sal_pick *pick, const struct sal_kernel *k,
                           struct sal_carry *carry)
{
    int whole_axis[SAL_RANK_MAX], part_axis[SAL_RANK_MAX];
    int n = shared_axes(pick, k, whole_axis, part_axis);
    for (int i = 0; i < n; i++)
        carry->axis[part_axis[i]] = whole_axis[i];
}

void sal_picks_carry_part(const struct sal_pick *pick, const struct sal_kernel *k,
                          struct sal_carry *carry)
{
    int whole_axis[SAL_RANK_MAX], part_axis[SAL_RANK_MAX];
    int n = shared_axes(pick, k, whole_axis, part_axis);
    for (int i = 0; i < n; i++)
        carry->axis[whole_axis[i]] = part_axis[i];
}

/* ---- lines --------------------------------------------------------------------- */

/* The line's coordinates in the whole, read as coordinates of the part. */
static struct sal_line line_of_elements(const struct sal_picks *picks, int64_t line)
{
    struct sal_line at = {.n = picks->n};
    int64_t whole_step = 1, part_step = 1;
    for (int i = picks->whole.rank - 1; i >= 0; i--) {
        int64_t dim = picks->whole.dim[i];
        if (i != picks->axis) {
            int64_t here = line % dim;
            line /= dim;
            at.whole += here * whole_step;
            at.part += here * part_step;
            if (here >= picks->part.dim[i])
                at.n = 0;
        }
        whole_step *= dim;
        part_step *= picks->part.dim[i];
    }
    at.index = at.part;
    return at;
}

struct sal_line sal_picks_line(const struct sal_picks *picks, int64_t line)
{
    if (picks->by_element)
        return line_of_elements(picks, line);
    int64_t batch = line / picks->width, column = line % picks->width;
    return (struct sal_line){
        .whole = batch * picks->rows * picks->width + column,
        .part = batch * picks->n * picks->width + column,
        .index = batch * picks->n * picks->depth,
        .n = picks->n,
    };
}

int64_t sal_picks_row(const struct sal_picks *picks, const struct sal_line *line,
                      int64_t i)
{
    const int64_t *index = picks->index + line->index + i * picks->index_step;
    int64_t row = 0;
    for (int c = 0; c < picks->depth; c++) {
        int64_t dim = picks->dim[c];
        if (index[c] < -dim || index[c] >= dim)
            return -1;
        row = row * dim + (index[c] < 0 ? index[c] + dim : index[c]);
    }
    return row;
}
