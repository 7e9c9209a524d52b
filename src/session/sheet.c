#include "sheet.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "writing.h"

enum { PANEL_MIN = 512, PANEL_MAX = 1024 }; /* pixels of a panel's longer side */
enum { IMAGE, OVERLAY };                    /* pictures of a map's sheet */

static void release(struct sal_sheet *sheet)
{
    for (int i = 0; i < SAL_FIGURE_PANELS_MAX; i++)
        sal_picture_release(&sheet->picture[i]);
    sal_probe_plot_release(&sheet->plot);
}

/* ---- text ------------------------------------------------------------------------ */

void sal_sheet_say(struct sal_sheet *sheet, const char *format, ...)
{
    if (sheet->n_lines == SAL_FIGURE_LINES_MAX - 1)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(sheet->line[sheet->n_lines], sizeof(*sheet->line), format, args);
    va_end(args);
    sheet->figure.caption[sheet->n_lines] = sheet->line[sheet->n_lines];
    sheet->n_lines++;
}

static void say_class(struct sal_sheet *sheet, const struct sal_writing *writing)
{
    const struct sal_model *model = writing->session->model;
    const struct sal_explained *explained = writing->held->explained;
    const struct sal_scores *scores = &writing->held->scored->scores;
    int index = explained->ask.class_index;
    char share[32];
    sal_probability_text(scores->probabilities[index], share, sizeof(share));
    snprintf(sheet->title, sizeof(sheet->title), "%s: %s", explained->ask.method->title,
             sal_model_class(model, index));
    sal_sheet_say(sheet, "Class %d (%s): score %.5g%s%s%s", index,
                  sal_model_class(model, index), explained->map.score,
                  *share ? ", probability " : "", share,
                  explained->ask.class_index == scores->top ? ", top class" : "");
}

static void say_checks(struct sal_sheet *sheet, const struct sal_map *map)
{
    char text[240] = "";
    size_t used = 0;
    for (int i = 0; i < map->n_checks && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %.5g%s%s",
                                 i ? ", " : "", map->checks[i].title, map->checks[i].value,
                                 *map->checks[i].unit ? " " : "", map->checks[i].unit);
    if (*text)
        sal_sheet_say(sheet, "%s", text);
}

static void say_method(struct sal_sheet *sheet, const struct sal_writing *writing)
{
    const struct sal_explained *explained = writing->held->explained;
    const struct sal_map *map = &explained->map;
    char params[200], layer[128] = "";
    sal_record_params_text(&explained->ask, params, sizeof(params));
    if (map->layer >= 0)
        snprintf(layer, sizeof(layer), " at %.100s, %d x %d",
                 sal_model_value(writing->session->model, map->layer).name,
                 map->grid_width, map->grid_height);
    const struct sal_like *like = explained->ask.like;
    const bool single = map->precision == SAL_F32;
    sal_sheet_say(sheet, "%s%s%s%s%s%s%s%s%s", explained->ask.method->title,
                  like ? " like " : "", like ? like->title : "", layer, *params ? "; " : "",
                  params, single ? "" : "; in ",
                  single ? "" : sal_precision_names[map->precision],
                  map->partial ? "; PARTIAL: stopped early" : "");
    say_checks(sheet, map);
    if (*map->note)
        sal_sheet_say(sheet, "%s", map->note);
}

double sal_sheet_clip(struct sal_figure_panel *panel, const struct sal_map *map)
{
    const long n = (long)map->width * map->height;
    double above = sal_range_above(map->values, n, panel->range);
    double below = sal_range_below(map->values, n, panel->range);
    panel->more_above = above > 0;
    panel->more_below = below > 0;
    return above + below;
}

/* What the colour bar's ends stand for beside their numbers. */
static void say_clip(struct sal_sheet *sheet, const struct sal_writing *writing)
{
    const struct sal_map *map = &writing->held->explained->map;
    struct sal_figure_panel *panel = &sheet->figure.panel[OVERLAY];
    double beyond = sal_sheet_clip(panel, map);
    char text[64];
    if (!(beyond > 0))
        return;
    sal_view_range_text(writing->view, map, text, sizeof(text));
    sal_sheet_say(sheet, "Colours span %.4g to %.4g, %s; %.2g %% of the values lie beyond",
                  panel->range.low, panel->range.high, text, 100 * beyond);
}

void sal_sheet_say_origin(struct sal_sheet *sheet, const struct sal_writing *writing)
{
    struct sal_model *model = writing->session->model;
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    const struct sal_preprocessing *spec = sal_model_preprocessing(model);
    const struct sal_image *image = &writing->held->loaded->image;
    sal_sheet_say(sheet, "Model: %.80s%s%.40s (sha256 %.12s)",
                  sidecar->name ? sidecar->name : "without a name",
                  sidecar->version ? " " : "", sidecar->version ? sidecar->version : "",
                  sal_model_sha256(model));
    sal_sheet_say(sheet, "Image: %d x %d, %d bit (sha256 %.12s), resized %s%s, %s",
                  image->width, image->height, image->bits, image->sha256,
                  sal_filter_names[spec->resize], spec->antialias ? " with antialias" : "",
                  sal_fit_names[spec->fit]);
    if (sidecar->intended_use)
        sal_sheet_say(sheet, "Intended use: %.200s", sidecar->intended_use);
}

/* ---- pictures ----------------------------------------------------------------------- */

static void panel_size(const struct sal_image *image, int *width, int *height)
{
    int longest = image->width > image->height ? image->width : image->height;
    double scale = longest < PANEL_MIN   ? (double)PANEL_MIN / longest
                   : longest > PANEL_MAX ? (double)PANEL_MAX / longest
                                         : 1;
    *width = (int)fmax(1, round(image->width * scale));
    *height = (int)fmax(1, round(image->height * scale));
}

struct sal_overlay sal_sheet_overlay(const struct sal_view *view,
                                     const struct sal_figure_panel *panel)
{
    return (struct sal_overlay){
        .colormap = panel->colormap,
        .range = panel->range,
        .alpha = sal_view_opacity(view),
        .contour = view->contour,
    };
}

static enum sal_status draw(struct sal_sheet *sheet, const struct sal_writing *writing,
                            struct sal_error *err)
{
    const struct sal_image *image = &writing->held->loaded->image;
    const struct sal_map *map = &writing->held->explained->map;
    const struct sal_overlay overlay =
        sal_sheet_overlay(writing->view, &sheet->figure.panel[OVERLAY]);
    int width, height;
    panel_size(image, &width, &height);
    float *values = NULL;
    enum sal_status status =
        sal_picture_from_image(&sheet->picture[IMAGE], image, width, height, err);
    if (!status)
        status = sal_picture_from_image(&sheet->picture[OVERLAY], image, width, height, err);
    if (!status)
        status = sal_session_map_over(writing->session, map, width, height, &values, err);
    if (!status)
        sal_overlay_draw(&overlay, &sheet->picture[OVERLAY], values);
    free(values);
    return status;
}

static enum sal_status fill_map(struct sal_sheet *sheet, const struct sal_writing *writing,
                                struct sal_error *err)
{
    const struct sal_map *map = &writing->held->explained->map;
    const struct sal_view *view = writing->view;
    sheet->figure = (struct sal_figure){
        .panel = {{.picture = &sheet->picture[IMAGE], .label = "image"},
                  {.picture = &sheet->picture[OVERLAY],
                   .label = "explanation",
                   .colormap = view->colormap ? view->colormap
                                              : sal_colormap_default(map->is_signed),
                   .range = sal_view_range(view, map),
                   .unit = map->unit}},
        .n_panels = 2,
        .title = sheet->title,
    };
    say_class(sheet, writing);
    say_method(sheet, writing);
    say_clip(sheet, writing);
    sal_sheet_say_origin(sheet, writing);
    sal_sheet_say(sheet,
                  "saliscope %s: shows what moved this model's score, not what is in the image",
                  SAL_VERSION);
    return draw(sheet, writing, err);
}

/* ---- files -------------------------------------------------------------------------- */

static enum sal_status encode_with_notes(const struct sal_image *image,
                                         const struct sal_sheet *sheet,
                                         const struct sal_writing *writing,
                                         struct sal_buffer *buffer,
                                         struct sal_error *err)
{
    struct sal_buffer record = {0};
    sal_record_encode(writing->session, NULL, true, &record);
    sal_buffer_append(&record, "", 1);
    char description[600];
    snprintf(description, sizeof(description), "%s. %s", sheet->title, sheet->line[0]);
    const struct sal_image_note notes[] = {
        {"Software", "saliscope " SAL_VERSION},
        {"Description", description},
        {"saliscope", record.failed ? "{}" : (const char *)record.data},
    };
    enum sal_status status = sal_image_encode_png(
        image, sheet->figure.dpi > 0 ? sheet->figure.dpi : 300, notes, 3, buffer, err);
    sal_buffer_release(&record);
    return status;
}

/* What fills a zeroed sheet. */
typedef enum sal_status fill_sheet(struct sal_sheet *sheet, const struct sal_writing *writing,
                                   struct sal_error *err);

static enum sal_status encode_png(const struct sal_writing *writing, fill_sheet *fill,
                                  struct sal_buffer *buffer, struct sal_error *err)
{
    struct sal_sheet sheet = {0};
    struct sal_image image = {0};
    enum sal_status status = fill(&sheet, writing, err);
    if (!status)
        status = sal_figure_png(&sheet.figure, &image, err);
    if (!status)
        status = encode_with_notes(&image, &sheet, writing, buffer, err);
    sal_image_release(&image);
    release(&sheet);
    return status;
}

static enum sal_status encode_pdf(const struct sal_writing *writing, fill_sheet *fill,
                                  struct sal_buffer *buffer, struct sal_error *err)
{
    struct sal_sheet sheet = {0};
    enum sal_status status = fill(&sheet, writing, err);
    if (!status)
        status = sal_figure_pdf(&sheet.figure, buffer, err);
    release(&sheet);
    return status;
}

static enum sal_status encode_svg(const struct sal_writing *writing, fill_sheet *fill,
                                  struct sal_buffer *buffer, struct sal_error *err)
{
    struct sal_sheet sheet = {0};
    enum sal_status status = fill(&sheet, writing, err);
    if (!status)
        status = sal_figure_svg(&sheet.figure, buffer, err);
    release(&sheet);
    return status;
}

enum sal_status sal_figure_encode_png(const struct sal_writing *writing,
                                      struct sal_buffer *buffer, struct sal_error *err)
{
    return encode_png(writing, fill_map, buffer, err);
}

enum sal_status sal_figure_encode_pdf(const struct sal_writing *writing,
                                      struct sal_buffer *buffer, struct sal_error *err)
{
    return encode_pdf(writing, fill_map, buffer, err);
}

enum sal_status sal_figure_encode_svg(const struct sal_writing *writing,
                                      struct sal_buffer *buffer, struct sal_error *err)
{
    return encode_svg(writing, fill_map, buffer, err);
}

enum sal_status sal_probe_figure_png(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err)
{
    return encode_png(writing, sal_sheet_fill_probe, buffer, err);
}

enum sal_status sal_probe_figure_pdf(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err)
{
    return encode_pdf(writing, sal_sheet_fill_probe, buffer, err);
}

enum sal_status sal_probe_figure_svg(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err)
{
    return encode_svg(writing, sal_sheet_fill_probe, buffer, err);
}
