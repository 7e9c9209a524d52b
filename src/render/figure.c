#include "saliscope/figure.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "figure_layout.h"
#include "figure_svg.h"
#include "saliscope/image.h"

#define END_OF_9999 253402300800LL

enum { CAIRO_SIDE_MAX = 32767 };

static enum sal_status check_panel(const struct sal_figure *figure, int i,
                                   struct sal_error *err)
{
    const struct sal_figure_panel *panel = &figure->panel[i];
    const struct sal_picture *left = i ? panel[-1].picture : NULL;
    if (!panel->picture == !panel->plot)
        return sal_fail(err, SAL_USAGE, "figure: panel %d expects an image or a plot", i);
    if (panel->picture && left && !panel->new_row &&
        (panel->picture->width != left->width || panel->picture->height != left->height))
        return sal_fail(err, SAL_USAGE, "figure: panel %d is %d x %d, beside it %d x %d", i,
                        panel->picture->width, panel->picture->height, left->width,
                        left->height);
    if (panel->colormap && !(fabs(panel->range.low) <= (double)FLT_MAX &&
                             fabs(panel->range.high) <= (double)FLT_MAX))
        return sal_fail(err, SAL_USAGE, "figure: expects a range of finite numbers");
    return SAL_OK;
}

static enum sal_status check(const struct sal_figure *figure, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    if (figure->n_panels < 1 || figure->n_panels > SAL_FIGURE_PANELS_MAX)
        return sal_fail(err, SAL_USAGE, "figure: %d panels, expects 1 to %d",
                        figure->n_panels, SAL_FIGURE_PANELS_MAX);
    for (int i = 0; i < figure->n_panels && !status; i++)
        status = check_panel(figure, i, err);
    if (status)
        return status;
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
    sal_figure_draw(cr, figure, layout,
                    cairo_surface_get_type(surface) == CAIRO_SURFACE_TYPE_IMAGE);
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
static time_t creation_time(void)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    long long seconds = epoch ? strtoll(epoch, NULL, 10) : 0;
    return seconds > 0 && seconds < END_OF_9999 ? (time_t)seconds : 0;
}

static void set_metadata(cairo_surface_t *surface, const struct sal_layout *layout)
{
    time_t when = creation_time();
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
    struct sal_buffer raw = {0};
    enum sal_status status = draw_vectors(figure, &raw, open_svg, err);
    if (!status)
        sal_svg_renumber(&raw, buffer);
    if (!status && buffer->failed)
        status = sal_fail(err, SAL_LIMIT, "no memory for a figure");
    sal_buffer_release(&raw);
    return status;
}
