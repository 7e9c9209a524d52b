#include "frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliscope/resample.h"

enum { BAR_CELLS = 2 };

void sal_frame_release(struct sal_frame *frame)
{
    sal_picture_release(&frame->base);
    sal_cells_release(&frame->picture);
    sal_cells_release(&frame->bar);
    free(frame->plane);
    *frame = (struct sal_frame){0};
}

double sal_view_opacity(const struct sal_view *view)
{
    if (view->alpha < 0)
        return 0;
    return view->alpha > 0 ? view->alpha : 0.5;
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
    sal_encoder_fit(ask->encoder, ask->columns, ask->rows, image->width, image->height,
                    &width, &height);
    if (same_image(frame, ask, width, height))
        return SAL_OK;
    *changed = true;
    sal_picture_release(&frame->base);
    memcpy(frame->sha256, image->sha256, sizeof(frame->sha256));
    return sal_picture_from_image(&frame->base, image, width, height, err);
}

/* ---- the map ---------------------------------------------------------------------- */

/* The method's own grid blown up to the map's size, each cell one flat square. */
static float *flat_cells(const struct sal_map *map)
{
    size_t n = (size_t)map->width * (size_t)map->height;
    float *out = malloc(n * sizeof(*out));
    for (int y = 0; out && y < map->height; y++)
        for (int x = 0; x < map->width; x++)
            out[(size_t)y * map->width + x] =
                map->grid[(size_t)(y * map->grid_height / map->height) *
                              map->grid_width +
                          x * map->grid_width / map->width];
    return out;
}

/* How many samples per picture pixel and axis keep a map finer than the picture
 * from being skipped over. */
static int oversampling(const struct sal_map *map, const struct sal_placement *at,
                        const struct sal_picture *picture)
{
    double x = map->width * at->src_width / at->dst_width / picture->width;
    double y = map->height * at->src_height / at->dst_height / picture->height;
    double most = x > y ? x : y;
    int n = 1;
    while (n < most && n < 8)
        n++;
    return n;
}

static void average(const float *fine, int n, float *out, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double sum = 0;
            for (int i = 0; i < n * n; i++)
                sum += (double)fine[((size_t)y * n + i / n) * ((size_t)width * n) +
                                    (size_t)x * n + i % n];
            out[(size_t)y * width + x] = (float)(sum / (n * n));
        }
}

/* The map laid over the image as the preprocessing cut it out, at picture size:
 * the same placement, in smaller image pixels. */
static float *plane_of(const struct sal_frame *frame, const struct sal_frame_ask *ask)
{
    const struct sal_map *map = ask->map;
    int width = frame->base.width, height = frame->base.height;
    struct sal_placement at = sal_placement_of(ask->image->width, ask->image->height,
                                               map->width, map->height,
                                               ask->preprocessing->fit);
    struct sal_placement unit = at;
    unit.src_width /= ask->image->width;
    unit.src_height /= ask->image->height;
    int n = oversampling(map, &unit, &frame->base);
    double sx = (double)width * n / ask->image->width;
    double sy = (double)height * n / ask->image->height;
    at.src_x *= sx, at.src_width *= sx, at.src_y *= sy, at.src_height *= sy;
    size_t pixels = (size_t)width * height;
    float *values = ask->grid ? flat_cells(map) : map->values;
    float *fine = malloc(pixels * n * n * sizeof(float));
    float *out = malloc(pixels * sizeof(float));
    if (values && fine && out) {
        sal_plane_to_image(values, map->height, map->width, &at, fine, height * n,
                           width * n);
        average(fine, n, out, width, height);
    } else {
        free(out);
        out = NULL;
    }
    free(fine);
    if (values != map->values)
        free(values);
    return out;
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
    frame->plane = plane_of(frame, ask);
    return frame->plane ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for the map");
}

/* ---- cells ------------------------------------------------------------------------ */

static struct sal_range range_of(const struct sal_frame_ask *ask)
{
    const struct sal_map *map = ask->map;
    return sal_range_of(map->values, (long)map->width * map->height, map->is_signed,
                        ask->view.range_mode, ask->view.range);
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

static void draw_map(struct sal_frame *frame, const struct sal_frame_ask *ask,
                     struct sal_picture *picture)
{
    bool alone = ask->show == SAL_SHOW_MAP;
    struct sal_overlay over = {
        .colormap = frame->colormap,
        .range = frame->range,
        .alpha = alone ? 1 : sal_view_opacity(&ask->view),
        .alpha_by_value = !alone,
        .contour = ask->view.contour,
    };
    sal_overlay_draw(&over, picture, frame->plane);
}

static enum sal_status encode(struct sal_frame *frame, const struct sal_frame_ask *ask,
                              struct sal_error *err)
{
    struct sal_picture picture;
    const struct sal_picture *base = &frame->base;
    enum sal_status status = sal_picture_init(&picture, base->width, base->height, err);
    if (status)
        return status;
    bool map = frame->plane && ask->show != SAL_SHOW_IMAGE;
    bool marks = map && ask->show == SAL_SHOW_OVERLAY && ask->depth == SAL_MONO;
    bool blank = !(frame->range.low < frame->range.high);
    if (ask->show != SAL_SHOW_MAP || !frame->plane)
        memcpy(picture.rgb, base->rgb, (size_t)base->width * base->height * 3);
    if (map && !marks && !blank)
        draw_map(frame, ask, &picture);
    status = sal_encoder_run(ask->encoder, &picture, ask->depth, ask->unicode,
                             &frame->picture, err);
    sal_picture_release(&picture);
    frame->marked_percent = ask->view.contour > 0 ? ask->view.contour : 10;
    if (status || !map)
        return status;
    if (!marks && !blank)
        return encode_bar(frame, ask, err);
    if (!blank)
        mark_strongest(frame, frame->marked_percent);
    return SAL_OK;
}

static bool same_view(const struct sal_frame_ask *a, const struct sal_frame_ask *b)
{
    const struct sal_view *x = &a->view, *y = &b->view;
    return a->show == b->show && a->encoder == b->encoder && a->depth == b->depth &&
           a->unicode == b->unicode && x->colormap == y->colormap &&
           !(x->alpha < y->alpha || x->alpha > y->alpha) &&
           !(x->contour < y->contour || x->contour > y->contour) &&
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

static enum sal_status remake(struct sal_frame *frame, const struct sal_frame_ask *ask,
                              struct sal_error *err)
{
    frame->generation++;
    sal_cells_release(&frame->picture);
    sal_cells_release(&frame->bar);
    frame->colormap = ask->view.colormap;
    if (ask->map) {
        frame->range = range_of(ask);
        if (!frame->colormap)
            frame->colormap = sal_colormap_default(ask->map->is_signed);
        frame->bar_range = bar_range_of(frame);
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
    bool changed = false;
    enum sal_status status = update_base(frame, ask, &changed, err);
    if (!status)
        status = update_plane(frame, ask, &changed, err);
    if (!status && (changed || !same_view(&frame->ask, ask)))
        status = remake(frame, ask, err);
    frame->ask = *ask;
    return status;
}
