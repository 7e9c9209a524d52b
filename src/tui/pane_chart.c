#include "app.h"

enum sal_probe_plot_kind sal_app_chart(const struct sal_app *app)
{
    if (!sal_app_task(app)->charts || !app->snapshot.answer)
        return SAL_PROBE_PLOTS;
    return sal_probe_plot_next(app->snapshot.answer, (enum sal_probe_plot_kind)0);
}

static void draw_plot(const struct sal_canvas *canvas, const struct sal_plot *plot)
{
    struct sal_cells cells;
    struct sal_error err = {0};
    if (sal_plot_cells(plot, canvas->columns, canvas->rows - 1,
                       sal_terminal_text_depth(canvas->terminal), canvas->terminal->unicode,
                       &cells, &err)) {
        sal_draw_wrapped(canvas, 1, 0, 0, SAL_STYLE_QUIET, err.text);
        return;
    }
    sal_terminal_glyphs(canvas->terminal, canvas->window, 1, 0, &cells);
    sal_cells_release(&cells);
}

static void draw(const struct sal_canvas *canvas, struct sal_app *app)
{
    const enum sal_probe_plot_kind kind = sal_app_chart(app);
    const struct sal_snapshot *snapshot = &app->snapshot;
    struct sal_probe_plot made;
    struct sal_error err = {0};
    if (kind == SAL_PROBE_PLOTS)
        return;
    if (sal_probe_plot_of(snapshot->answer, kind, app->model,
                          snapshot->probe_ask.class_index, snapshot->image->max, &made,
                          &err)) {
        sal_draw_wrapped(canvas, 1, 0, 0, SAL_STYLE_QUIET, err.text);
        return;
    }
    sal_draw_heading(canvas, made.plot.title);
    made.plot.title = NULL;
    draw_plot(canvas, &made.plot);
    sal_probe_plot_release(&made);
}

const struct sal_pane sal_pane_chart = {.name = "chart", .draw = draw};
