#include "saliscope/figure.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "figure_layout.h"
#include "figure_text.h"
#include "overlay_draw.h"
#include "saliscope/image.h"

/* A picture whose pixels come out larger than this many points keeps them sharp. */
#define SHARP_POINTS 1.5

enum { BAR_STEPS = 256, BAR_COLUMNS = 8, SHARP_SIDE = 512, CAIRO_SIDE_MAX = 32767 };

struct page {
    cairo_t *cr;
    const struct sal_figure *figure;
    const struct sal_layout *layout;
    bool raster;
};

/* Copies the picture, each pixel `times` wide and high: viewers of PDF and SVG
 * smooth what they enlarge, whatever the file asks for. */
static cairo_surface_t *surface_of(const struct sal_picture *picture, int times)
{
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, picture->width * times, picture->height * times);
    if (cairo_surface_status(surface))
        return surface;
    unsigned char *data = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface);
    for (int y = 0; y < picture->height * times; y++) {
        uint32_t *row = (uint32_t *)(void *)(data + (ptrdiff_t)y * stride);
        const uint8_t *rgb =
            picture->rgb + (size_t)(y / times) * (size_t)picture->width * 3;
        for (int x = 0; x < picture->width * times; x++) {
            const uint8_t *p = rgb + 3 * (x / times);
            row[x] = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        }
    }
    cairo_surface_mark_dirty(surface);
    return surface;
}

/* Stretches the picture over the box. A smoothed picture would fade at its edges
 * into nothing: pixels beyond them repeat, where cairo draws them itself. */
static void draw_picture(const struct page *page, const struct sal_picture *picture,
                         struct sal_box box)
{
    cairo_t *cr = page->cr;
    bool sharp = box.width / picture->width > SHARP_POINTS;
    int times = sharp && picture->width < SHARP_SIDE ? SHARP_SIDE / picture->width : 1;
    if (picture->height * times > 4 * SHARP_SIDE)
        times = 1;
    cairo_surface_t *surface = surface_of(picture, times);
    cairo_save(cr);
    cairo_rectangle(cr, box.x, box.y, box.width, box.height);
    cairo_clip(cr);
    cairo_translate(cr, box.x, box.y);
    cairo_scale(cr, box.width / (picture->width * times),
                box.height / (picture->height * times));
    cairo_set_source_surface(cr, surface, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr),
                             sharp ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
    if (page->raster)
        cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
    cairo_paint(cr);
    cairo_restore(cr);
    cairo_surface_destroy(surface);
}

static void draw_frame(cairo_t *cr, struct sal_box box)
{
    cairo_set_line_width(cr, 0.5);
    cairo_rectangle(cr, box.x, box.y, box.width, box.height);
    cairo_stroke(cr);
}

static void draw_panel(const struct page *page, int i, const struct sal_picture *picture)
{
    struct sal_box box = page->layout->panel[i];
    draw_picture(page, picture, box);
    draw_frame(page->cr, box);
    if (page->layout->label[i])
        sal_figure_text(page->cr, box.x, box.y - page->layout->line,
                        page->layout->label[i]);
}

/* The bar is a picture too: rectangles side by side would show seams. */
static void draw_bar_colours(const struct page *page)
{
    const struct sal_figure *figure = page->figure;
    uint8_t rgb[BAR_STEPS * BAR_COLUMNS * 3];
    for (int i = 0; i < BAR_STEPS * BAR_COLUMNS; i++) {
        double up = 1 - (i / BAR_COLUMNS + 0.5) / BAR_STEPS;
        double value = figure->range.low + up * (figure->range.high - figure->range.low);
        sal_colormap_at(figure->colormap,
                        sal_overlay_position(figure->colormap, figure->range, value),
                        rgb + 3 * i);
    }
    struct sal_picture picture = {BAR_COLUMNS, BAR_STEPS, rgb};
    draw_picture(page, &picture, page->layout->bar);
}

static void draw_unit(const struct page *page, double x)
{
    const struct sal_layout *layout = page->layout;
    double width = sal_figure_text_width(page->cr, layout->unit);
    cairo_save(page->cr);
    cairo_translate(page->cr, x, layout->bar.y + (layout->bar.height + width) / 2);
    cairo_rotate(page->cr, -acos(-1) / 2);
    sal_figure_text(page->cr, 0, 0, layout->unit);
    cairo_restore(page->cr);
}

static void draw_bar(const struct page *page)
{
    const struct sal_layout *layout = page->layout;
    struct sal_box bar = layout->bar;
    cairo_t *cr = page->cr;
    draw_bar_colours(page);
    draw_frame(cr, bar);
    double x = bar.x + bar.width, height = sal_figure_line_height(cr);
    for (int i = 0; i < layout->ticks.n; i++) {
        double y = bar.y + bar.height * (1 - layout->ticks.at[i]);
        cairo_move_to(cr, x, y);
        cairo_rel_line_to(cr, SAL_FIGURE_TICK, 0);
        cairo_stroke(cr);
        sal_figure_text(cr, x + SAL_FIGURE_TICK + SAL_FIGURE_PAD, y - height / 2,
                        layout->ticks.label[i]);
    }
    draw_unit(page, x + SAL_FIGURE_TICK + 2 * SAL_FIGURE_PAD + layout->ticks_width);
}

static void draw_texts(const struct page *page)
{
    const struct sal_layout *layout = page->layout;
    for (int i = 0; i < layout->n_captions; i++)
        sal_figure_text(page->cr, layout->margin, layout->caption_y + i * layout->line,
                        layout->caption[i]);
    if (layout->title) {
        sal_figure_font(page->cr, SAL_FIGURE_TITLE_POINTS, true);
        sal_figure_text(page->cr, layout->margin, layout->margin, layout->title);
    }
}

static void draw(const struct page *page)
{
    const struct sal_figure *figure = page->figure;
    cairo_set_source_rgb(page->cr, 1, 1, 1);
    cairo_paint(page->cr);
    cairo_set_source_rgb(page->cr, 0.1, 0.1, 0.1);
    sal_figure_font(page->cr, SAL_FIGURE_POINTS, false);
    draw_panel(page, 0, figure->image);
    if (figure->overlay)
        draw_panel(page, 1, figure->overlay);
    if (figure->colormap)
        draw_bar(page);
    draw_texts(page);
}

static enum sal_status check(const struct sal_figure *figure, struct sal_error *err)
{
    if (!figure->image)
        return sal_fail(err, SAL_USAGE, "figure: expects an image");
    if (figure->overlay && (figure->overlay->width != figure->image->width ||
                            figure->overlay->height != figure->image->height))
        return sal_fail(err, SAL_USAGE, "figure: overlay is %d x %d, image %d x %d",
                        figure->overlay->width, figure->overlay->height,
                        figure->image->width, figure->image->height);
    if (figure->colormap && !(fabs(figure->range.low) <= (double)FLT_MAX &&
                              fabs(figure->range.high) <= (double)FLT_MAX))
        return sal_fail(err, SAL_USAGE, "figure: expects a range of finite numbers");
    if (figure->width_mm != 0 && !(figure->width_mm >= 40 && figure->width_mm <= 1000))
        return sal_fail(err, SAL_USAGE, "figure: width of %g mm, expects 40 to 1000",
                        figure->width_mm);
    if (figure->dpi != 0 && !(figure->dpi >= 36 && figure->dpi <= 2400))
        return sal_fail(err, SAL_USAGE, "figure: %g dots an inch, expects 36 to 2400",
                        figure->dpi);
    return SAL_OK;
}

static enum sal_status cairo_fault(cairo_status_t status, struct sal_error *err)
{
    if (!status)
        return SAL_OK;
    return sal_fail(err, status == CAIRO_STATUS_NO_MEMORY ? SAL_LIMIT : SAL_OUTPUT,
                    "figure: %s", cairo_status_to_string(status));
}

static enum sal_status draw_on(cairo_surface_t *surface, const struct sal_figure *figure,
                               const struct sal_layout *layout, double scale,
                               struct sal_error *err)
{
    cairo_t *cr = cairo_create(surface);
    cairo_scale(cr, scale, scale);
    struct page page = {cr, figure, layout,
                        cairo_surface_get_type(surface) == CAIRO_SURFACE_TYPE_IMAGE};
    draw(&page);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    return cairo_fault(status, err);
}

/* Lays the figure out on a surface that is only measured on. */
static enum sal_status lay_out(struct sal_layout *layout, const struct sal_figure *figure,
                               struct sal_arena *arena, struct sal_error *err)
{
    enum sal_status status = check(figure, err);
    if (status)
        return status;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    cairo_t *cr = cairo_create(surface);
    status = sal_layout_of(layout, figure, cr, arena, err);
    if (!status)
        status = cairo_fault(cairo_status(cr), err);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return status;
}

static void copy_pixels(struct sal_image *image, cairo_surface_t *surface)
{
    cairo_surface_flush(surface);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface);
    uint16_t *out = image->samples;
    for (int y = 0; y < image->height; y++) {
        const uint32_t *row =
            (const uint32_t *)(const void *)(data + (ptrdiff_t)y * stride);
        for (int x = 0; x < image->width; x++)
            for (int shift = 16; shift >= 0; shift -= 8)
                *out++ = row[x] >> shift & 255;
    }
}

static enum sal_status draw_png(struct sal_image *image, const struct sal_figure *figure,
                                const struct sal_layout *layout, struct sal_error *err)
{
    double scale = (figure->dpi > 0 ? figure->dpi : 300) / 72;
    double width = round(layout->width * scale), height = round(layout->height * scale);
    if (!(width <= CAIRO_SIDE_MAX && height <= CAIRO_SIDE_MAX &&
          width * height <= SAL_IMAGE_PIXELS_MAX))
        return sal_fail(err, SAL_LIMIT,
                        "figure of %.0f x %.0f pixels: expects at most %d a side and %d "
                        "in all",
                        width, height, CAIRO_SIDE_MAX, SAL_IMAGE_PIXELS_MAX);
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    enum sal_status status = draw_on(surface, figure, layout, scale, err);
    if (!status)
        status = sal_image_init(image, (int)width, (int)height, 3, 8, err);
    if (!status)
        copy_pixels(image, surface);
    cairo_surface_destroy(surface);
    return status;
}

enum sal_status sal_figure_png(const struct sal_figure *figure,
                               struct sal_image *image, struct sal_error *err)
{
    struct sal_layout layout;
    struct sal_arena arena = {0};
    enum sal_status status = lay_out(&layout, figure, &arena, err);
    if (!status)
        status = draw_png(image, figure, &layout, err);
    sal_arena_release(&arena);
    return status;
}

static cairo_status_t append(void *buffer, const unsigned char *data, unsigned size)
{
    struct sal_buffer *out = buffer;
    sal_buffer_append(out, data, size);
    return out->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

/* SOURCE_DATE_EPOCH, or a constant: the same figure is the same file. */
static void set_metadata(cairo_surface_t *surface, const struct sal_layout *layout)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t when = epoch ? (time_t)strtoll(epoch, NULL, 10) : 0;
    struct tm utc;
    char text[64];
    if (gmtime_r(&when, &utc) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc))
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, text);
    if (layout->title)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, layout->title);
}

static cairo_surface_t *open_pdf(struct sal_buffer *buffer, const struct sal_layout *layout)
{
    cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(
        append, buffer, layout->width, layout->height);
    set_metadata(surface, layout);
    return surface;
}

static cairo_surface_t *open_svg(struct sal_buffer *buffer, const struct sal_layout *layout)
{
    return cairo_svg_surface_create_for_stream(append, buffer, layout->width,
                                               layout->height);
}

static enum sal_status
draw_vectors(const struct sal_figure *figure, struct sal_buffer *buffer,
             cairo_surface_t *(*open)(struct sal_buffer *, const struct sal_layout *),
             struct sal_error *err)
{
    struct sal_layout layout;
    struct sal_arena arena = {0};
    enum sal_status status = lay_out(&layout, figure, &arena, err);
    if (!status) {
        cairo_surface_t *surface = open(buffer, &layout);
        status = draw_on(surface, figure, &layout, 1, err);
        cairo_surface_finish(surface);
        if (!status)
            status = cairo_fault(cairo_surface_status(surface), err);
        cairo_surface_destroy(surface);
    }
    sal_arena_release(&arena);
    return status;
}

enum sal_status sal_figure_pdf(const struct sal_figure *figure,
                               struct sal_buffer *buffer, struct sal_error *err)
{
    return draw_vectors(figure, buffer, open_pdf, err);
}

enum sal_status sal_figure_svg(const struct sal_figure *figure,
                               struct sal_buffer *buffer, struct sal_error *err)
{
    return draw_vectors(figure, buffer, open_svg, err);
}
