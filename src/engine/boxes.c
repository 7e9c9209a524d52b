#include "boxes.h"

#include <string.h>

/* ---- boxes ----------------------------------------------------------------------------- */

struct sal_box sal_box_union(const struct sal_box *a, const struct sal_box *b)
{
    if (sal_box_empty(a) || sal_box_empty(b))
        return sal_box_empty(a) ? *b : *a;
    struct sal_box both = *a;
    for (int i = 0; i < 2; i++) {
        both.at[i] = sal_least(both.at[i], b->at[i]);
        both.end[i] = b->end[i] > both.end[i] ? b->end[i] : both.end[i];
    }
    return both;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b && a < 0);
}

struct sal_box sal_box_clipped(const struct sal_box *box, const int64_t size[2])
{
    struct sal_box inside = *box;
    for (int i = 0; i < 2; i++) {
        inside.at[i] = inside.at[i] < 0 ? 0 : inside.at[i];
        inside.end[i] = sal_least(inside.end[i], size[i]);
    }
    return sal_box_empty(&inside) ? (struct sal_box){0} : inside;
}

struct sal_box sal_box_grown(const struct sal_box *box, const struct sal_reach *reach,
                             const int64_t size[2])
{
    struct sal_box grown = {0};
    if (sal_box_empty(box))
        return grown;
    for (int i = 0; i < 2; i++) {
        grown.at[i] = -floor_div(reach->high[i] - box->at[i], reach->step[i]);
        grown.end[i] = floor_div(box->end[i] - 1 - reach->low[i], reach->step[i]) + 1;
    }
    return sal_box_clipped(&grown, size);
}

struct sal_box sal_box_read(const struct sal_box *box, const struct sal_reach *reach)
{
    struct sal_box read = {0};
    for (int i = 0; i < 2 && !sal_box_empty(box); i++) {
        read.at[i] = box->at[i] * reach->step[i] + reach->low[i];
        read.end[i] = (box->end[i] - 1) * reach->step[i] + reach->high[i] + 1;
    }
    return read;
}

/* ---- reading --------------------------------------------------------------------------- */

bool sal_field_like(const struct sal_field *field, const struct sal_field *other)
{
    return field->data && field->n == other->n &&
           memcmp(field->box, other->box, sizeof(*field->box) * (size_t)field->n) == 0;
}

static const struct sal_field *part_of(const struct sal_field *field, int64_t *plane)
{
    int i = 0;
    if (!field->n_parts)
        return field;
    while (*plane >= field->parts[i]->planes)
        *plane -= field->parts[i++]->planes;
    return field->parts[i];
}

static void copy(sal_real *to, const sal_real *from, int64_t n)
{
    memcpy(to, from, sizeof(*to) * (size_t)n);
}

static void add_stretch(struct sal_stretches *s, const sal_real *from, int64_t step,
                        int64_t pixels)
{
    if (pixels > 0)
        s->stretch[s->n++] = (struct sal_stretch){from, (ptrdiff_t)step, pixels};
}

struct sal_stretches sal_part_row(const struct sal_field *part, int image, int64_t y,
                                  int64_t x, int64_t n)
{
    struct sal_stretches s = {0};
    int64_t unit = part->unit, map = part->size[0] * part->size[1];
    int64_t at = y * part->size[1] + x;
    if (part->images) {
        add_stretch(&s, part->images + (image * part->planes * map + at) * unit, map * unit, n);
        return s;
    }
    const struct sal_box *box = &part->box[image];
    const sal_real *base = part->base + at * unit;
    bool meets = y >= box->at[0] && y < box->end[0];
    int64_t from = meets && box->at[1] > x ? sal_least(box->at[1] - x, n) : meets ? 0 : n;
    int64_t past = meets ? sal_least(box->end[1] - x, n) : n;
    past = past < from ? from : past;
    int64_t pixel = part->first[image] + (y - box->at[0]) * (box->end[1] - box->at[1]) + x +
                    from - box->at[1];
    add_stretch(&s, base, map * unit, from);
    if (past > from)
        add_stretch(&s, part->data + pixel * unit, sal_field_pixels(part) * unit, past - from);
    add_stretch(&s, base + past * unit, map * unit, n - past);
    return s;
}

void sal_field_row(const struct sal_field *field, int64_t plane, int image, int64_t y,
                   int64_t x, int64_t n, sal_real *to)
{
    field = part_of(field, &plane);
    struct sal_stretches s = sal_part_row(field, image, y, x, n);
    for (int i = 0; i < s.n; i++) {
        int64_t reals = s.stretch[i].pixels * field->unit;
        copy(to, s.stretch[i].from + plane * s.stretch[i].step, reals);
        to += reals;
    }
}

void sal_field_box(const struct sal_field *field, int64_t plane, int image,
                   const struct sal_box *box, sal_real *to)
{
    int64_t columns = sal_box_columns(box);
    for (int64_t y = box->at[0]; y < box->at[0] + sal_box_rows(box); y++) {
        sal_field_row(field, plane, image, y, box->at[1], columns, to);
        to += columns * field->unit;
    }
}

struct sal_field_place sal_field_find(const struct sal_field *field, int64_t p)
{
    int low = 0, high = field->n - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (field->first[middle] <= p)
            low = middle;
        else
            high = middle - 1;
    }
    const struct sal_box *box = &field->box[low];
    int64_t columns = box->end[1] - box->at[1], at = p - field->first[low];
    return (struct sal_field_place){low, box->at[0] + at / columns, box->at[1] + at % columns,
                                    columns - at % columns};
}

/* ---- all of a field --------------------------------------------------------------------- */

struct gathering {
    const struct sal_field *field, *like;
    sal_real *to;
    int batch;
};

static void gather_box(void *context, int tile, int worker)
{
    (void)worker;
    const struct gathering *g = context;
    int image = tile % g->like->n;
    int64_t plane = tile / g->like->n;
    int64_t at = plane * sal_field_pixels(g->like) + g->like->first[image];
    sal_field_box(g->field, plane, image, &g->like->box[image], g->to + at * g->field->unit);
}

void sal_field_gather(const struct sal_field *field, const struct sal_field *like,
                      sal_real *to, struct sal_pool *pool)
{
    struct gathering g = {.field = field, .like = like, .to = to};
    sal_pool_run(pool, (int)(field->planes * like->n), gather_box, &g);
}

static void paste_map(void *context, int tile, int worker)
{
    (void)worker;
    const struct gathering *g = context;
    const struct sal_field *field = g->field;
    int image = tile % field->n;
    int64_t plane = tile / field->n, map = field->size[0] * field->size[1] * field->unit;
    int64_t at = field->unit == 1 ? image * field->planes + plane : plane * g->batch + image;
    const struct sal_box all = {{0, 0}, {field->size[0], field->size[1]}};
    sal_field_box(field, plane, image, &all, g->to + at * map);
}

void sal_field_paste(const struct sal_field *field, sal_real *to, int batch,
                     struct sal_pool *pool)
{
    struct gathering g = {.field = field, .to = to, .batch = batch};
    sal_pool_run(pool, (int)field->planes * field->n, paste_map, &g);
}

/* ---- windows ------------------------------------------------------------------------------ */

bool sal_reach_of_window(const struct sal_node *node, const struct sal_window *window,
                         const int64_t size[2], struct sal_reach *reach)
{
    struct sal_window fitted;
    int64_t out[2];
    if (sal_window_output(node, window, 2, NULL, size, &fitted, out, NULL))
        return false;
    for (int i = 0; i < 2; i++) {
        reach->step[i] = fitted.stride[i];
        reach->low[i] = -fitted.pad_begin[i];
        reach->high[i] = reach->low[i] + (fitted.kernel[i] - 1) * fitted.dilation[i];
    }
    return true;
}

/* Whether it can be done for that node was found out when the run was opened. */
static struct sal_reach reach_of(const struct sal_region_kernel *k)
{
    struct sal_reach reach = sal_reach_same();
    sal_region_op_of(k->node)->reach(k->node, k->in, 0, &reach);
    return reach;
}

struct sal_window_box sal_region_window_box(const struct sal_region_kernel *k, int image)
{
    struct sal_reach reach = reach_of(k);
    const struct sal_box *box = &k->to->box[image];
    struct sal_box all = sal_box_read(box, &reach);
    struct sal_window_box w = {.read = sal_box_clipped(&all, k->fields[0]->size),
                               .out = {sal_box_rows(box), sal_box_columns(box)}};
    for (int i = 0; i < 2; i++) {
        w.in[i] = w.read.end[i] - w.read.at[i];
        w.pad[i] = w.read.at[i] - all.at[i];
    }
    return w;
}

int64_t sal_region_slab(const struct sal_region_kernel *k)
{
    int64_t most = 0;
    for (int i = 0; i < k->to->n; i++) {
        struct sal_window_box w = sal_region_window_box(k, i);
        int64_t pixels = sal_box_pixels(&w.read);
        most = pixels > most ? pixels : most;
    }
    return most * k->fields[0]->unit;
}
