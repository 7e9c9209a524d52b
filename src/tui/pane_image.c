#include <math.h>
#include <stdio.h>

#include "app.h"

enum { BAR_GAP = 1, NUMBER_GAP = 4, NUMBER_COLUMNS = 8 };

static void draw_title(const struct sal_canvas *canvas, const struct sal_app *app)
{
    const struct sal_snapshot *snapshot = &app->snapshot;
    char name[300], view[160] = "", text[480];
    snprintf(name, sizeof(name), "%.250s", sal_app_basename(snapshot->image_path));
    if (app->options->n_images > 1 && sal_app_image_current(app))
        snprintf(name, sizeof(name), "%.250s %d/%d",
                 sal_app_basename(snapshot->image_path), app->image + 1,
                 app->options->n_images);
    if (snapshot->map && app->show == SAL_SHOW_OVERLAY)
        snprintf(view, sizeof(view), " - overlay %.0f %%, %s",
                 100 * sal_view_opacity(&app->view), app->frame.colormap->name);
    else if (snapshot->map)
        snprintf(view, sizeof(view), " - %s",
                 app->show == SAL_SHOW_MAP ? "map alone" : "image alone");
    snprintf(text, sizeof(text), "%s%s%s", snapshot->image ? name : "Image", view,
             snapshot->map && app->grid && app->show != SAL_SHOW_IMAGE ? ", grid" : "");
    sal_draw_heading(canvas, text);
}

/* What the picture shows, in one line: a map never stands without its method,
 * class and unit. */
static void draw_caption(const struct sal_canvas *canvas, const struct sal_app *app)
{
    const struct sal_map *map = app->snapshot.map;
    const struct sal_session_ask *ask = &app->snapshot.ask;
    int y = app->frame.picture.rows + 1;
    if (!map || app->show == SAL_SHOW_IMAGE)
        return;
    const char *class_name = sal_model_class(app->model, ask->class_index);
    if (*map->note) {
        char text[700];
        snprintf(text, sizeof(text), "%s of %.250s: ! %s", ask->method->title, class_name,
                 map->note);
        sal_draw_wrapped(canvas, y, 0, 0, SAL_STYLE_WARNING, text);
        return;
    }
    int x = 0;
    bool marks = app->terminal.depth == SAL_MONO && app->show == SAL_SHOW_OVERLAY;
    if (map->partial)
        x = sal_draw(canvas, y, 0, canvas->columns, SAL_STYLE_WARNING, "PARTIAL ");
    int room = canvas->columns - x;
    if (marks)
        sal_draw(canvas, y, x, room, SAL_STYLE_TEXT,
                 "%s of %s, reversed: strongest %.0f %%, over %.3g %s",
                 ask->method->title, class_name, app->frame.marked_percent,
                 (double)app->frame.marked_from, map->unit);
    else
        sal_draw(canvas, y, x, room, SAL_STYLE_TEXT, "%s of %s, %.3g to %.3g %s",
                 ask->method->title, class_name, app->frame.range.low,
                 app->frame.range.high, map->unit);
}

/* The numbers beside the colour bar; a high one at the top. */
static void draw_numbers(const struct sal_canvas *canvas, const struct sal_frame *frame,
                         int y, int x)
{
    struct sal_range range = frame->bar_range;
    int last = frame->bar.rows - 1, steps = last >= 12 ? 4 : last >= 4 ? 2 : 1;
    for (int i = 0; i <= steps; i++) {
        double value = range.high + (range.low - range.high) * i / steps;
        int row = (int)lround((double)last * i / steps);
        sal_draw(canvas, y + row, x, NUMBER_COLUMNS, SAL_STYLE_TEXT, "%.3g", value);
    }
}

static void draw_picture(const struct sal_canvas *canvas, struct sal_app *app)
{
    const struct sal_frame *frame = &app->frame;
    const struct sal_cells *picture = &frame->picture, *bar = &frame->bar;
    const struct sal_rect *pane = &app->layout.pane[SAL_PANE_IMAGE];
    int spare = canvas->columns - picture->columns - SAL_BAR_COLUMNS;
    int x = spare > 0 ? spare / 2 : 0;
    int bar_x = x + picture->columns + BAR_GAP;
    struct sal_rect at = {pane->y + 1, pane->x + x, picture->rows, picture->columns};
    struct sal_rect bar_at = {pane->y + 1, pane->x + bar_x, bar->rows, bar->columns};
    if (at.x != app->picture.x || at.y != app->picture.y)
        app->repaint = true;
    app->picture = at;
    app->bar = bar_at;
    sal_terminal_cells(canvas->terminal, canvas->window, 1, x, picture);
    if (!bar->columns)
        return;
    sal_terminal_cells(canvas->terminal, canvas->window, 1, bar_x, bar);
    draw_numbers(canvas, frame, 1, x + picture->columns + NUMBER_GAP);
}

static void draw_instead(const struct sal_canvas *canvas, const struct sal_app *app)
{
    const struct sal_error *error = &app->snapshot.error;
    if (error->status && app->snapshot.state == SAL_IDLE)
        sal_draw_wrapped(canvas, 2, 1, 1, SAL_STYLE_ERROR, error->text);
    else
        sal_draw(canvas, 2, 1, canvas->columns - 1, SAL_STYLE_QUIET, "loading %s",
                 sal_app_basename(app->options->images[app->image]));
}

static void draw(const struct sal_canvas *canvas, struct sal_app *app)
{
    draw_title(canvas, app);
    if (!app->frame.picture.columns) {
        draw_instead(canvas, app);
        return;
    }
    draw_picture(canvas, app);
    draw_caption(canvas, app);
}

const struct sal_pane sal_pane_image = {.name = "image", .draw = draw};
