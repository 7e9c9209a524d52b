/* A map before and after a probe, as panels of its figure. */
#include <stdio.h>
#include <string.h>

#include "sheet.h"

static enum sal_status copy(struct sal_picture *picture, const struct sal_picture *from,
                            struct sal_error *err)
{
    enum sal_status status = sal_picture_init(picture, from->width, from->height, err);
    if (!status)
        memcpy(picture->rgb, from->rgb, (size_t)from->width * (size_t)from->height * 3);
    return status;
}

/* The map lies on the network's grid, as the picture does; its share that lies beyond the
 * colours is added. */
static enum sal_status add_panel(struct sal_sheet *sheet, const struct sal_view *view,
                                 const struct sal_map *map, const struct sal_picture *below,
                                 struct sal_figure_panel as, double *beyond,
                                 struct sal_error *err)
{
    const int i = sheet->figure.n_panels++;
    struct sal_figure_panel *panel = &sheet->figure.panel[i];
    *panel = as;
    panel->picture = &sheet->picture[i];
    *beyond += sal_sheet_clip(panel, map) / 2;
    const struct sal_overlay overlay = sal_sheet_overlay(view, panel);
    enum sal_status status = copy(&sheet->picture[i], below, err);
    if (!status)
        sal_overlay_draw(&overlay, &sheet->picture[i], map->values);
    return status;
}

static void say_range(struct sal_sheet *sheet, const struct sal_view *view,
                      const struct sal_map *map, struct sal_range range, double beyond)
{
    char text[64];
    sal_view_range_text(view, map, text, sizeof(text));
    if (beyond > 0)
        sal_sheet_say(sheet, "Colours of both maps span %.4g to %.4g, %s and of the other, "
                             "whichever is wider; %.2g %% of the values lie beyond",
                      range.low, range.high, text, 100 * beyond);
}

enum sal_status sal_sheet_add_maps(struct sal_sheet *sheet, const struct sal_writing *writing,
                                   const struct sal_picture *image,
                                   const struct sal_picture *altered, struct sal_error *err)
{
    const struct sal_probed *probed = writing->held->probed;
    const struct sal_stability *maps = probed->stability;
    const struct sal_view *view = writing->view;
    if (!maps || !maps->after.values)
        return SAL_OK;
    const char *title = probed->ask.beside->title;
    const bool is_signed = maps->before.is_signed;
    struct sal_figure_panel panel = {
        .label = sheet->map_label[0],
        .colormap = view->colormap ? view->colormap : sal_colormap_default(is_signed),
        .range = sal_view_range_of_both(view, &maps->before, &maps->after),
        .unit = maps->before.unit,
        .new_row = true};
    double beyond = 0;
    snprintf(sheet->map_label[0], sizeof(sheet->map_label[0]), "%s before", title);
    snprintf(sheet->map_label[1], sizeof(sheet->map_label[1]), "%s after", title);
    enum sal_status status = add_panel(sheet, view, &maps->before, image, panel, &beyond, err);
    panel.label = sheet->map_label[1];
    panel.new_row = false;
    if (!status)
        status = add_panel(sheet, view, &maps->after, altered, panel, &beyond, err);
    if (!status)
        say_range(sheet, view, &maps->before, panel.range, beyond);
    return status;
}
