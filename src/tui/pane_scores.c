#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "saliscope/text.h"

enum { NUMBER_COLUMNS = 7, MARK_COLUMNS = 2, NAME_MIN = 8, BAR_MIN = 3 };

/* The scores of the image, or beside them those of an altered one. */
struct side {
    const sal_real *logits;
    const double *probabilities; /* NAN where there are none */
    int top;
};

struct table {
    const struct sal_canvas *canvas;
    const struct sal_app *app;
    struct side side[2]; /* before, after */
    int n;               /* sides */
    int name, bar;       /* columns */
    bool probabilities;
    double largest; /* logit, where there are no probabilities */
};

/* Said to be there: of labels by the threshold; where one class is chosen of all, only an
 * altered image needs to be told from the given one by it. */
static bool is_called(const struct table *table, const struct side *side, int class_index)
{
    const struct sal_model *model = table->app->model;
    const struct sal_model_output *output = sal_model_output(model);
    if (table->n > 1 && output->n == 1 && !table->probabilities)
        return side->logits[class_index] >= 0;
    if (table->n > 1 && output->n > 1 && output->activation != SAL_SIGMOID)
        return class_index == side->top;
    return table->probabilities &&
           sal_model_flagged(model, class_index, side->probabilities[class_index]);
}

static int longest_name(const struct table *table)
{
    const struct sal_app *app = table->app;
    int longest = NAME_MIN;
    for (int i = 0; i < app->n_order && i < table->canvas->rows; i++) {
        char name[256];
        sal_text_clean(name, sizeof(name), sal_model_class(app->model, app->order[i]));
        int columns = sal_text_columns(name);
        longest = columns > longest ? columns : longest;
    }
    return longest;
}

/* Columns: a mark, the name, the bar, and of each side a blank, the number, a mark. */
static void set_columns(struct table *table)
{
    const int columns = table->canvas->columns, numbers = 1 + NUMBER_COLUMNS + MARK_COLUMNS;
    int most = columns * 45 / 100, room = columns - 2 - table->n * numbers;
    most = most < room ? most : room;
    table->name = longest_name(table);
    table->name = table->name < most ? table->name : most;
    table->bar = room - table->name - 1;
}

static void draw_side(const struct table *table, const struct side *side, int y, int x,
                      int class_index)
{
    bool called = is_called(table, side, class_index);
    enum sal_style style = called ? SAL_STYLE_FLAG : SAL_STYLE_TEXT;
    char text[32];
    double logit = (double)side->logits[class_index];
    if (table->probabilities)
        snprintf(text, sizeof(text), "%5.1f %%", 100 * side->probabilities[class_index]);
    else if (snprintf(text, sizeof(text), "%7.3g", logit) > NUMBER_COLUMNS)
        snprintf(text, sizeof(text), "%7.1g", logit);
    sal_draw(table->canvas, y, x, NUMBER_COLUMNS, style, "%s", text);
    if (called)
        sal_draw(table->canvas, y, x + NUMBER_COLUMNS + 1, 1, style, "!");
}

static void draw_row(const struct table *table, int y, int class_index)
{
    const struct sal_canvas *canvas = table->canvas;
    const struct sal_app *app = table->app;
    const struct side *last = &table->side[table->n - 1];
    bool chosen = class_index == sal_app_class(app);
    sal_draw(canvas, y, 0, 2, SAL_STYLE_TEXT, chosen ? "> " : "  ");
    sal_draw(canvas, y, 2, table->name, chosen ? SAL_STYLE_SELECTED : SAL_STYLE_TEXT, "%s",
             sal_model_class(app->model, class_index));
    double part = table->probabilities ? last->probabilities[class_index]
                  : table->largest > 0 ? (double)last->logits[class_index] / table->largest
                                       : 0;
    if (table->bar >= BAR_MIN)
        sal_draw_bar(canvas, y, 2 + table->name + 1, table->bar, SAL_STYLE_TEXT, part,
                     table->probabilities ? sal_app_threshold(app, class_index)
                                          : (double)NAN);
    for (int i = 0; i < table->n; i++) {
        int columns = 1 + NUMBER_COLUMNS + MARK_COLUMNS;
        draw_side(table, &table->side[i], y,
                  canvas->columns - (table->n - i) * columns + 1, class_index);
    }
}

/* What the numbers are, and whether any class reaches its threshold. */
static void draw_heading(const struct table *table)
{
    const struct sal_app *app = table->app;
    const struct sal_model_output *output = sal_model_output(app->model);
    const struct sal_scores *scores = &app->snapshot.scores;
    int rows = table->canvas->rows - 1;
    char count[32] = "", text[160];
    if (scores->n > rows)
        snprintf(count, sizeof(count), " %d/%d", rows, scores->n);
    bool thresholds = false, any = false;
    for (int i = 0; i < scores->n; i++) {
        thresholds |= !isnan(sal_app_threshold(app, i));
        any |= sal_model_flagged(app->model, i, scores->probabilities[i]);
    }
    if (table->n > 1)
        snprintf(text, sizeof(text), "Scores%s before, after, ! called", count);
    else if (output->activation == SAL_ACTIVATION_NONE)
        snprintf(text, sizeof(text), "Scores%s logits, longest bar: first", count);
    else
        snprintf(text, sizeof(text), "Scores%s %s%s", count,
                 sal_activation_names[output->activation],
                 !thresholds ? "" : any ? ", ! flagged" : ", none flagged");
    sal_draw_heading(table->canvas, text);
}

/* The first class shown, so that the chosen one is in sight. */
static int first_row(const struct sal_app *app, int rows)
{
    int at = 0;
    while (at < app->n_order && app->order[at] != sal_app_class(app))
        at++;
    return at >= app->n_order || at < rows ? 0 : at - rows + 1;
}

/* The side of an altered image, where there is one; free() the probabilities. */
static double *add_after(struct table *table, const sal_real *logits)
{
    const struct sal_app *app = table->app;
    double *probabilities =
        logits ? calloc((size_t)app->n_order, sizeof(*probabilities)) : NULL;
    if (!probabilities)
        return NULL;
    sal_model_probabilities(app->model, logits, probabilities);
    table->side[table->n++] = (struct side){logits, probabilities,
                                            sal_model_top_class(app->model, logits)};
    return probabilities;
}

static void draw(const struct sal_canvas *canvas, struct sal_app *app)
{
    const struct sal_scores *scores = &app->snapshot.scores;
    const struct sal_task *task = sal_app_task(app);
    if (!app->n_order) {
        sal_draw_heading(canvas, "Scores");
        sal_draw(canvas, 1, 0, canvas->columns, SAL_STYLE_QUIET,
                 app->snapshot.state == SAL_IDLE ? "none" : "not yet");
        return;
    }
    struct table table = {
        .canvas = canvas,
        .app = app,
        .side = {{scores->logits, scores->probabilities, scores->top}},
        .n = 1,
        .probabilities = !isnan(scores->probabilities[0]),
        .largest = (double)scores->logits[app->order[0]],
    };
    double *after = add_after(&table, task->after ? task->after(app) : NULL);
    draw_heading(&table);
    set_columns(&table);
    int rows = canvas->rows - 1, first = first_row(app, rows);
    for (int i = 0; i < rows && first + i < app->n_order; i++)
        draw_row(&table, 1 + i, app->order[first + i]);
    free(after);
}

const struct sal_pane sal_pane_scores = {.name = "scores", .draw = draw};
