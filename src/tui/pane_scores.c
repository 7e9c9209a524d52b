#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "saliscope/text.h"

enum { NUMBER_COLUMNS = 7, NAME_MIN = 8 };

struct scale {
    int name, bar; /* columns */
    bool probabilities;
    double largest; /* logit, where there are no probabilities */
};

static struct scale scale_of(const struct sal_canvas *canvas, const struct sal_app *app)
{
    const struct sal_scores *scores = &app->snapshot.scores;
    int longest = NAME_MIN, most = canvas->columns * 45 / 100;
    for (int i = 0; i < app->n_order && i < canvas->rows; i++) {
        char name[256];
        sal_text_clean(name, sizeof(name), sal_model_class(app->model, app->order[i]));
        int columns = sal_text_columns(name);
        longest = columns > longest ? columns : longest;
    }
    struct scale scale = {.name = longest < most ? longest : most};
    scale.bar = canvas->columns - 2 - scale.name - 1 - 1 - NUMBER_COLUMNS - 2;
    scale.probabilities = !isnan(scores->probabilities[0]);
    scale.largest = (double)scores->logits[app->order[0]];
    return scale;
}

static void draw_row(const struct sal_canvas *canvas, const struct sal_app *app,
                     const struct scale *scale, int y, int class_index)
{
    const struct sal_scores *scores = &app->snapshot.scores;
    bool chosen = class_index == sal_app_class(app);
    double probability = scores->probabilities[class_index];
    double logit = (double)scores->logits[class_index];
    bool flagged = scale->probabilities &&
                   sal_model_flagged(app->model, class_index, probability);
    enum sal_style style = flagged ? SAL_STYLE_FLAG : SAL_STYLE_TEXT;
    int x = 2 + scale->name + 1;
    sal_draw(canvas, y, 0, 2, SAL_STYLE_TEXT, chosen ? "> " : "  ");
    sal_draw(canvas, y, 2, scale->name, chosen ? SAL_STYLE_SELECTED : SAL_STYLE_TEXT,
             "%s", sal_model_class(app->model, class_index));
    double part = scale->probabilities ? probability : logit / scale->largest;
    if (!scale->probabilities && !(scale->largest > 0))
        part = 0;
    if (scale->bar > 2)
        sal_draw_bar(canvas, y, x, scale->bar, SAL_STYLE_TEXT, part,
                     scale->probabilities ? sal_app_threshold(app, class_index)
                                          : (double)NAN);
    x = canvas->columns - NUMBER_COLUMNS - 2;
    if (scale->probabilities)
        sal_draw(canvas, y, x, NUMBER_COLUMNS, style, "%5.1f %%", 100 * probability);
    else
        sal_draw(canvas, y, x, NUMBER_COLUMNS, style, "%7.3g", logit);
    if (flagged)
        sal_draw(canvas, y, canvas->columns - 1, 1, style, "!");
}

/* What the numbers are, and whether any class reaches its threshold. */
static void draw_heading(const struct sal_canvas *canvas, const struct sal_app *app)
{
    const struct sal_model_output *output = sal_model_output(app->model);
    const struct sal_scores *scores = &app->snapshot.scores;
    int rows = canvas->rows - 1;
    char count[32] = "", text[160];
    if (scores->n > rows)
        snprintf(count, sizeof(count), " %d/%d", rows, scores->n);
    bool thresholds = false, any = false;
    for (int i = 0; i < scores->n; i++) {
        thresholds |= !isnan(sal_app_threshold(app, i));
        any |= sal_model_flagged(app->model, i, scores->probabilities[i]);
    }
    if (output->activation == SAL_ACTIVATION_NONE)
        snprintf(text, sizeof(text), "Scores%s logits, longest bar: first", count);
    else
        snprintf(text, sizeof(text), "Scores%s %s%s", count,
                 sal_activation_names[output->activation],
                 !thresholds ? "" : any ? ", ! flagged" : ", none flagged");
    sal_draw_heading(canvas, text);
}

/* The first class shown, so that the chosen one is in sight. */
static int first_row(const struct sal_app *app, int rows)
{
    int at = 0;
    while (at < app->n_order && app->order[at] != sal_app_class(app))
        at++;
    return at >= app->n_order || at < rows ? 0 : at - rows + 1;
}

static void draw(const struct sal_canvas *canvas, struct sal_app *app)
{
    if (!app->n_order) {
        sal_draw_heading(canvas, "Scores");
        sal_draw(canvas, 1, 0, canvas->columns, SAL_STYLE_QUIET,
                 app->snapshot.state == SAL_IDLE ? "none" : "not yet");
        return;
    }
    draw_heading(canvas, app);
    struct scale scale = scale_of(canvas, app);
    int rows = canvas->rows - 1, first = first_row(app, rows);
    for (int i = 0; i < rows && first + i < app->n_order; i++)
        draw_row(canvas, app, &scale, 1 + i, app->order[first + i]);
}

const struct sal_pane sal_pane_scores = {.name = "scores", .draw = draw};
