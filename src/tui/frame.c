#include "frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plane.h"

enum {
    BAR_CELLS = 2,
    GAP_CELLS = 2,          /* between the image and a map beside it */
    BESIDE_COLUMNS_MIN = 20 /* of each */
};

void sal_frame_release(struct sal_frame *frame)
{
    sal_picture_release(&frame->base);
    sal_cells_release(&frame->picture);
    sal_cells_release(&frame->bar);
    free(frame->plane);
    *frame = (struct sal_frame){0};
}

/* ---- what is shown -------------------------------------------------------------- */

static int beside_columns(const struct sal_frame_ask *ask)
{
    return (ask->columns - GAP_CELLS) / 2;
}

/* Two pictures need room, and where there are no colours a map is marks on the image. */
static enum sal_show choose(const struct sal_frame_ask *ask)
{
    if (!ask->map)
        return SAL_SHOW_IMAGE;
    if (ask->show != SAL_SHOW_BESIDE)
        return ask->show;
    bool room = beside_columns(ask) >= BESIDE_COLUMNS_MIN && ask->depth != SAL_MONO;
    return room ? SAL_SHOW_BESIDE : SAL_SHOW_OVERLAY;
}

/* ---- the image ------------------------------------------------------------------- */

static bool same_image(const struct sal_frame *frame, const struct sal_frame_ask *ask,
                       int width, int height)
{
    return frame->base.rgb && frame->base.width == width &&
           frame->base.height == height && frame->ask.image == ask->image &&
           !strcmp(frame->sha256, ask->image->sha256);
}

static enum sal_status update_base(struct sal_frame *frame,
                                   const struct sal_frame_ask *ask, bool *changed,
                                   struct sal_error *err)
{
    const struct sal_image *image = ask->image;
    int width, height;
    int columns = frame->shown == SAL_SHOW_BESIDE ? beside_columns(ask) : ask->columns;
    sal_encoder_fit(ask->encoder, columns, ask->rows, image->width, image->height, &width,
                    &height);
    if (same_image(frame, ask, width, height))
        return SAL_OK;
    *changed = true;
    sal_picture_release(&frame->base);
    memcpy(frame->sha256, image->sha256, sizeof(frame->sha256));
    return sal_picture_from_image(&frame->base, image, width, height, err);
}

/* ---- the map ---------------------------------------------------------------------- */

static float *plane_of(const struct sal_frame *frame, const struct sal_frame_ask *ask,
                       const float *values)
{
    return values ? sal_plane_over(ask->map, values, ask->image, ask->preprocessing,
                                   frame->base.width, frame->base.height)
                  : NULL;
}

static enum sal_status update_plane(struct sal_frame *frame,
                                    const struct sal_frame_ask *ask, bool *changed,
                                    struct sal_error *err)
{
    const struct sal_frame_ask *old = &frame->ask;
    bool same = old->map == ask->map && old->serial == ask->serial &&
                old->grid == ask->grid;
    if (same && !*changed)
        return SAL_OK;
    *changed = true;
    free(frame->plane);
    frame->plane = NULL;
    if (!ask->map)
        return SAL_OK;
    float *flat = ask->grid ? sal_plane_flat(ask->map) : NULL;
    frame->plane = plane_of(frame, ask, ask->grid ? flat : ask->map->values);
    free(flat);
    return frame->plane ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for the map");
}

/* ---- cells ------------------------------------------------------------------------ */

static struct sal_range range_of(const struct sal_frame_ask *ask)
{
    const struct sal_map *map = ask->map;
    return sal_view_range(&ask->view, map);
}

static enum sal_status encode_bar(struct sal_frame *frame,
                                  const struct sal_frame_ask *ask,
                                  struct sal_error *err)
{
    struct sal_picture bar;
    const struct sal_encoder *encoder = ask->encoder;
    enum sal_status status =
        sal_picture_init(&bar, BAR_CELLS * encoder->cell_width,
                         frame->picture.rows * encoder->cell_height, err);
    if (status)
        return status;
    for (int y = 0; y < bar.height; y++)
        for (int x = 0; x < bar.width; x++)
            sal_colormap_at(frame->colormap, 1 - (y + 0.5) / bar.height,
                            bar.rgb + 3 * ((size_t)y * bar.width + x));
    status = sal_encoder_run(encoder, &bar, ask->depth, ask->unicode, &frame->bar, err);
    sal_picture_release(&bar);
    return status;
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Without colours the image stays as it is and the cells of the strongest values
 * are marked (a background: shown in reverse). */
static void mark_strongest(struct sal_frame *frame, double percent)
{
    size_t n = (size_t)frame->base.width * (size_t)frame->base.height;
    float *sorted = malloc(n * sizeof(*sorted));
    if (!sorted)
        return;
    for (size_t i = 0; i < n; i++)
        sorted[i] = fabsf(frame->plane[i]);
    qsort(sorted, n, sizeof(*sorted), descending);
    size_t last = (size_t)((double)n * percent / 100);
    frame->marked_from = sorted[last < n ? last : n - 1];
    free(sorted);
    struct sal_cells *cells = &frame->picture;
    int across = frame->base.width / cells->columns;
    int down = frame->base.height / cells->rows;
    for (int y = 0; y < cells->rows; y++)
        for (int x = 0; x < cells->columns; x++) {
            float value = frame->plane[(size_t)y * down * frame->base.width + x * across];
            if (fabsf(value) > frame->marked_from)
                cells->cell[y * cells->columns + x].bg = 0;
        }
}

static void draw_map(const struct sal_frame *frame, const struct sal_frame_ask *ask,
                     bool alone, struct sal_picture *picture)
{
    struct sal_overlay over = {
        .colormap = frame->colormap,
        .range = frame->range,
        .alpha = alone ? 1 : sal_view_opacity(&ask->view),
        .alpha_by_value = !alone,
        .contour = ask->view.contour,
    };
    sal_overlay_draw(&over, picture, frame->plane);
}

/* The map is in the image's units: added to it, times as much as asked. */
static enum sal_status add_map(const struct sal_frame *frame,
                               const struct sal_frame_ask *ask,
                               struct sal_picture *picture, struct sal_error *err)
{
    const struct sal_map *map = ask->map;
    size_t pixels = (size_t)picture->width * (size_t)picture->height;
    bool colours = map->channels >= 3;
    for (int c = 0; c < 3; c++) {
        const float *channel = map->by_channel + (size_t)c * map->height * map->width;
        float *own = colours ? plane_of(frame, ask, channel) : NULL;
        const float *plane = colours ? own : frame->plane;
        if (!plane)
            return sal_fail(err, SAL_LIMIT, "no memory for the picture");
        for (size_t i = 0; i < pixels; i++) {
            double value = picture->rgb[3 * i + c] + 255 * ask->added * (double)plane[i];
            picture->rgb[3 * i + c] = (uint8_t)lround(fmin(fmax(value, 0), 255));
        }
        free(own);
    }
    return SAL_OK;
}

/* One picture: the image, or the map, or both. */
static enum sal_status draw_panel(const struct sal_frame *frame,
                                  const struct sal_frame_ask *ask, enum sal_show show,
                                  struct sal_picture *picture, struct sal_error *err)
{
    const struct sal_picture *base = &frame->base;
    enum sal_status status = sal_picture_init(picture, base->width, base->height, err);
    if (status)
        return status;
    bool blank = !(frame->range.low < frame->range.high);
    bool marks = show == SAL_SHOW_OVERLAY && ask->depth == SAL_MONO;
    if (show != SAL_SHOW_MAP)
        memcpy(picture->rgb, base->rgb, (size_t)base->width * base->height * 3);
    if (!blank && !marks && (show == SAL_SHOW_MAP || show == SAL_SHOW_OVERLAY))
        draw_map(frame, ask, show == SAL_SHOW_MAP, picture);
    if (show == SAL_SHOW_ADDED)
        status = add_map(frame, ask, picture, err);
    if (status)
        sal_picture_release(picture);
    return status;
}

static void paste(const struct sal_picture *from, struct sal_picture *to, int x)
{
    for (int y = 0; y < from->height; y++)
        memcpy(to->rgb + 3 * ((size_t)y * to->width + x),
               from->rgb + 3 * (size_t)y * from->width, 3 * (size_t)from->width);
}

/* Image and map, with a gap between them. */
static enum sal_status draw_beside(const struct sal_frame *frame,
                                   const struct sal_frame_ask *ask,
                                   struct sal_picture *picture, struct sal_error *err)
{
    const struct sal_picture *base = &frame->base;
    int gap = GAP_CELLS * ask->encoder->cell_width;
    struct sal_picture map;
    enum sal_status status = draw_panel(frame, ask, SAL_SHOW_MAP, &map, err);
    if (status)
        return status;
    status = sal_picture_init(picture, 2 * base->width + gap, base->height, err);
    if (!status) {
        paste(base, picture, 0);
        paste(&map, picture, base->width + gap);
    }
    sal_picture_release(&map);
    return status;
}

/* The gap is the terminal's own ground. */
static void clear_gap(struct sal_cells *cells)
{
    const struct sal_cell empty = {' ', SAL_CELL_DEFAULT, SAL_CELL_DEFAULT};
    int first = (cells->columns - GAP_CELLS) / 2;
    for (int y = 0; y < cells->rows; y++)
        for (int x = first; x < first + GAP_CELLS; x++)
            cells->cell[y * cells->columns + x] = empty;
}

static enum sal_status encode(struct sal_frame *frame, const struct sal_frame_ask *ask,
                              struct sal_error *err)
{
    struct sal_picture picture;
    const enum sal_show show = frame->shown;
    enum sal_status status = show == SAL_SHOW_BESIDE
                                 ? draw_beside(frame, ask, &picture, err)
                                 : draw_panel(frame, ask, show, &picture, err);
    if (status)
        return status;
    status = sal_encoder_run(ask->encoder, &picture, ask->depth, ask->unicode,
                             &frame->picture, err);
    sal_picture_release(&picture);
    frame->marked_percent = ask->view.contour > 0 ? ask->view.contour : 10;
    bool blank = !(frame->range.low < frame->range.high);
    if (status || blank || show == SAL_SHOW_IMAGE || show == SAL_SHOW_ADDED)
        return status;
    if (show == SAL_SHOW_OVERLAY && ask->depth == SAL_MONO) {
        mark_strongest(frame, frame->marked_percent);
        return SAL_OK;
    }
    if (show == SAL_SHOW_BESIDE)
        clear_gap(&frame->picture);
    return encode_bar(frame, ask, err);
}

static bool same_view(const struct sal_frame_ask *a, const struct sal_frame_ask *b)
{
    const struct sal_view *x = &a->view, *y = &b->view;
    return a->show == b->show && a->encoder == b->encoder && a->depth == b->depth &&
           a->unicode == b->unicode && x->colormap == y->colormap &&
           !(x->alpha < y->alpha || x->alpha > y->alpha) &&
           !(x->contour < y->contour || x->contour > y->contour) &&
           !(a->added < b->added || a->added > b->added) &&
           x->range_mode == y->range_mode;
}

/* A diverging colour map keeps zero in its middle. */
static struct sal_range bar_range_of(const struct sal_frame *frame)
{
    struct sal_range range = frame->range;
    if (!frame->colormap->diverging)
        return range;
    double most = fmax(fabs(range.low), fabs(range.high));
    return (struct sal_range){-most, most};
}

static double share_beyond(const struct sal_map *map, struct sal_range range)
{
    const long n = (long)map->width * map->height;
    return sal_range_above(map->values, n, range) + sal_range_below(map->values, n, range);
}

static enum sal_status remake(struct sal_frame *frame, const struct sal_frame_ask *ask,
                              struct sal_error *err)
{
    frame->generation++;
    sal_cells_release(&frame->picture);
    sal_cells_release(&frame->bar);
    frame->colormap = ask->view.colormap;
    frame->range = (struct sal_range){0};
    frame->beyond = 0;
    if (ask->map) {
        frame->range = range_of(ask);
        if (!frame->colormap)
            frame->colormap = sal_colormap_default(ask->map->is_signed);
        frame->bar_range = bar_range_of(frame);
        frame->beyond = share_beyond(ask->map, frame->range);
    }
    return encode(frame, ask, err);
}

enum sal_status sal_frame_update(struct sal_frame *frame,
                                 const struct sal_frame_ask *ask, struct sal_error *err)
{
    if (!ask->image || ask->columns < 1 || ask->rows < 1) {
        unsigned generation = frame->generation + (frame->picture.columns > 0);
        sal_frame_release(frame);
        frame->generation = generation;
        return SAL_OK;
    }
    enum sal_show shown = choose(ask);
    bool changed = shown != frame->shown;
    frame->shown = shown;
    enum sal_status status = update_base(frame, ask, &changed, err);
    if (!status)
        status = update_plane(frame, ask, &changed, err);
    if (!status && (changed || !same_view(&frame->ask, ask)))
        status = remake(frame, ask, err);
    frame->ask = *ask;
    return status;
}
