#include "figure_layout.h"

#include <math.h>

#include "figure_text.h"
#include "overlay_draw.h"

/* A picture whose pixels come out larger than this many points keeps them sharp. */
#define SHARP_POINTS 1.5

enum { BAR_STEPS = 256, BAR_COLUMNS = 8, SHARP_SIDE = 512 };

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

/* How often a pixel of a small picture is repeated. */
static int enlargement(const struct sal_picture *picture)
{
    int side = picture->width > picture->height ? picture->width : picture->height;
    return side < SHARP_SIDE ? SHARP_SIDE / side : 1;
}

/* Stretches the picture over the box. A smoothed picture would fade at its edges
 * into nothing: pixels beyond them repeat, where cairo draws them itself. */
static void draw_picture(const struct page *page, const struct sal_picture *picture,
                         struct sal_box box)
{
    cairo_t *cr = page->cr;
    bool sharp = box.width / picture->width > SHARP_POINTS;
    int times = sharp ? enlargement(picture) : 1;
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

/* The bar is a picture too: rectangles side by side would show seams. */
static void draw_bar_colours(const struct page *page, int i)
{
    const struct sal_figure_panel *panel = &page->figure->panel[i];
    uint8_t rgb[BAR_STEPS * BAR_COLUMNS * 3];
    for (int k = 0; k < BAR_STEPS * BAR_COLUMNS; k++) {
        double up = 1 - (k / BAR_COLUMNS + 0.5) / BAR_STEPS;
        double value = panel->range.low + up * (panel->range.high - panel->range.low);
        sal_colormap_at(panel->colormap,
                        sal_overlay_position(panel->colormap, panel->range, value),
                        rgb + 3 * k);
    }
    struct sal_picture picture = {BAR_COLUMNS, BAR_STEPS, rgb};
    draw_picture(page, &picture, page->layout->panel[i].bar);
}

static void draw_unit(const struct page *page, const struct sal_panel_layout *panel, double x)
{
    double width = sal_figure_text_width(page->cr, panel->unit);
    cairo_save(page->cr);
    cairo_translate(page->cr, x, panel->bar.y + (panel->bar.height + width) / 2);
    cairo_rotate(page->cr, -acos(-1) / 2);
    sal_figure_text(page->cr, 0, 0, panel->unit);
    cairo_restore(page->cr);
}

static void draw_bar(const struct page *page, int i)
{
    const struct sal_panel_layout *panel = &page->layout->panel[i];
    struct sal_box bar = panel->bar;
    cairo_t *cr = page->cr;
    draw_bar_colours(page, i);
    draw_frame(cr, bar);
    double x = bar.x + bar.width, height = sal_figure_line_height(cr);
    for (int k = 0; k < panel->ticks.n; k++) {
        double y = bar.y + bar.height * (1 - panel->ticks.at[k]);
        cairo_move_to(cr, x, y);
        cairo_rel_line_to(cr, SAL_FIGURE_TICK, 0);
        cairo_stroke(cr);
        sal_figure_text(cr, x + SAL_FIGURE_TICK + SAL_FIGURE_PAD, y - height / 2,
                        panel->ticks.label[k]);
    }
    draw_unit(page, panel, x + SAL_FIGURE_TICK + 2 * SAL_FIGURE_PAD + panel->ticks_width);
}

static void draw_panel(const struct page *page, int i)
{
    const struct sal_figure_panel *panel = &page->figure->panel[i];
    const struct sal_panel_layout *layout = &page->layout->panel[i];
    struct sal_box box = layout->box;
    if (panel->picture) {
        draw_picture(page, panel->picture, box);
        draw_frame(page->cr, box);
    } else {
        sal_plot_draw(page->cr, panel->plot, &layout->plot);
    }
    if (layout->label)
        sal_figure_text(page->cr, box.x, box.y - page->layout->line, layout->label);
    if (panel->colormap)
        draw_bar(page, i);
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

void sal_figure_draw(cairo_t *cr, const struct sal_figure *figure,
                     const struct sal_layout *layout, bool raster)
{
    struct page page = {cr, figure, layout, raster};
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
    sal_figure_font(cr, SAL_FIGURE_POINTS, false);
    for (int i = 0; i < figure->n_panels; i++)
        draw_panel(&page, i);
    draw_texts(&page);
}
