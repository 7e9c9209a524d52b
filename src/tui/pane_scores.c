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
    scale.bar = canvas->columns - 2 - scale.name - 1 - NUMBER_COLUMNS - 2;
    scale.probabilities = !isnan(scores->probabilities[0]);
    scale.largest = (double)scores->logits[app->order[0]];
    return scale;
}

/* The probability from which a class counts as found; NAN: nothing to compare. */
static double threshold_of(const struct sal_app *app, int class_index)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(app->model);
    if (class_index < sidecar->n_classes && !isnan(sidecar->classes[class_index].threshold))
        return sidecar->classes[class_index].threshold;
    return sal_model_output(app->model)->activation == SAL_SIGMOID ? 0.5 : (double)NAN;
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
        sal_draw_bar(canvas, y, x, scale->bar, style, part,
                     scale->probabilities ? threshold_of(app, class_index)
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
    if (output->activation == SAL_ACTIVATION_NONE) {
        sal_draw_heading(canvas, "Scores: logits, bars relative to the first");
        return;
    }
    bool thresholds = false, any = false;
    for (int i = 0; i < scores->n; i++) {
        thresholds |= !isnan(threshold_of(app, i));
        any |= sal_model_flagged(app->model, i, scores->probabilities[i]);
    }
    char text[160];
    const char *name = sal_activation_names[output->activation];
    if (!thresholds)
        snprintf(text, sizeof(text), "Scores: %s", name);
    else
        snprintf(text, sizeof(text), "Scores: %s, %s", name,
                 any ? "! at or above threshold" : "none above its threshold");
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
    int hidden = app->n_order - first - rows;
    if (hidden > 0)
        sal_draw(canvas, 0, canvas->columns - 10, 10, SAL_STYLE_QUIET, " %d more", hidden);
}

const struct sal_pane sal_pane_scores = {.name = "scores", .draw = draw};
