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
    sal_app_task(app)->title(app, view, sizeof(view));
    snprintf(text, sizeof(text), "%s%s%s", snapshot->image ? name : "Image",
             *view ? " - " : "", view);
    sal_draw_heading(canvas, text);
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
    sal_app_task(app)->caption(canvas, app, app->frame.picture.rows + 1);
}

const struct sal_pane sal_pane_image = {.name = "image", .draw = draw};
