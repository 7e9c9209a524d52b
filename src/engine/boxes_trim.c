/* Boxes made smaller where next to nothing changes at their edges. */
#include <string.h>

#include "boxes.h"

struct trimming {
    const struct sal_field *field;
    double least;
    struct sal_box *box; /* [n] what is left */
};

/* The mean square change over all channels of one pixel of a box is more than that. */
static bool changes(const struct trimming *t, int image, int64_t y, int64_t x)
{
    const struct sal_field *f = t->field;
    const struct sal_box *box = &f->box[image];
    int64_t map = f->size[0] * f->size[1], all = sal_field_pixels(f);
    int64_t at = f->first[image] + (y - box->at[0]) * sal_box_columns(box) + x - box->at[1];
    const sal_real *one = f->data + at * f->unit, *base = f->base + (y * f->size[1] + x) * f->unit;
    double sum = 0, most = t->least * t->least * (double)(f->planes * f->unit);
    for (int64_t p = 0; p < f->planes; p++, one += all * f->unit, base += map * f->unit)
        for (int c = 0; c < f->unit; c++) {
            double change = (double)one[c] - (double)base[c];
            sum += change * change;
        }
    return !(sum <= most);
}

/* Whether anything changes along the edge of what is left: at its begin or end along an
 * axis. */
static bool edge_changes(const struct trimming *t, int image, int axis, bool end)
{
    const struct sal_box *box = &t->box[image];
    int64_t at[2] = {box->at[0], box->at[1]};
    at[axis] = end ? box->end[axis] - 1 : box->at[axis];
    for (int other = 1 - axis; at[other] < box->end[other]; at[other]++)
        if (changes(t, image, at[0], at[1]))
            return true;
    return false;
}

static void shrink(void *context, int image, int worker)
{
    (void)worker;
    const struct trimming *t = context;
    struct sal_box *box = &t->box[image];
    for (int axis = 0; axis < 2; axis++) {
        while (!sal_box_empty(box) && !edge_changes(t, image, axis, false))
            box->at[axis]++;
        while (!sal_box_empty(box) && !edge_changes(t, image, axis, true))
            box->end[axis]--;
    }
    if (sal_box_empty(box))
        *box = (struct sal_box){0};
}

/* Everything moves towards the beginning, so that nothing is written over too early. */
static void close_up(struct sal_field *field, const struct sal_box *left)
{
    sal_real *to = field->data;
    for (int64_t p = 0; p < field->planes; p++)
        for (int i = 0; i < field->n; i++) {
            const struct sal_box *box = &field->box[i], *stays = &left[i];
            int64_t columns = sal_box_columns(box), n = sal_box_columns(stays) * field->unit;
            const sal_real *from =
                field->data + (p * sal_field_pixels(field) + field->first[i]) * field->unit;
            for (int64_t y = stays->at[0]; y < stays->at[0] + sal_box_rows(stays); y++) {
                int64_t at = (y - box->at[0]) * columns + stays->at[1] - box->at[1];
                memmove(to, from + at * field->unit, sizeof(*to) * (size_t)n);
                to += n;
            }
        }
}

bool sal_field_trim(struct sal_field *field, double least, struct sal_arena *arena,
                    struct sal_pool *pool)
{
    struct sal_box *left = sal_new(arena, struct sal_box, field->n);
    if (!left)
        return false;
    memcpy(left, field->box, sizeof(*left) * (size_t)field->n);
    struct trimming t = {field, least, left};
    sal_pool_run(pool, field->n, shrink, &t);
    close_up(field, left);
    memcpy(field->box, left, sizeof(*left) * (size_t)field->n);
    for (int i = 0; i < field->n; i++)
        field->first[i + 1] = field->first[i] + sal_box_pixels(&field->box[i]);
    return true;
}
