/* What a probe measured, as plots: whoever shows them, in a terminal or in a figure, draws the
 * same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "probe_plot.h"

void sal_probe_plot_release(struct sal_probe_plot *plot)
{
    free(plot->values);
    *plot = (struct sal_probe_plot){0};
}

/* n numbers times scale; they live in the plot. */
static double *scaled(struct sal_probe_plot *plot, const double *values, int n, double scale)
{
    plot->values = calloc((size_t)n + 1, sizeof(*plot->values));
    for (int i = 0; plot->values && i < n; i++)
        plot->values[i] = scale * values[i];
    return plot->values;
}

/* ---- lengths ------------------------------------------------------------------------------- */

/* In l2 a length says little by itself: beside it how many levels a pixel changes, as a root
 * mean square. */
static double levels_of(const struct sal_plotted *plotted, double length)
{
    const struct sal_probe_answer *a = plotted->answer;
    double n = (double)a->planes * a->height * a->width;
    return length * plotted->white / (a->norm == SAL_LINF ? 1 : sqrt(n));
}

/* Levels first in linf, the norm first in l2. */
static double main_unit(const struct sal_plotted *plotted)
{
    return plotted->answer->norm == SAL_LINF ? levels_of(plotted, 1) : 1;
}

static void name_length(const struct sal_plotted *plotted, const char *what, double length,
                        char *text, size_t size)
{
    if (plotted->answer->norm == SAL_LINF)
        snprintf(text, size, "%s: linf %.4g levels (%.3g)", what, levels_of(plotted, length),
                 length);
    else
        snprintf(text, size, "%s: l2 %.3g (rms %.4g levels)", what, length,
                 levels_of(plotted, length));
}

/* ---- the score against eps ----------------------------------------------------------------- */

static bool has_curve(const struct sal_probe_answer *a)
{
    const struct sal_series *attack = sal_probe_series(a, "attack");
    return attack && attack->n >= 2;
}

static double threshold_of(const struct sal_plotted *plotted)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(plotted->model);
    int c = plotted->class_index;
    double given = c < sidecar->n_classes ? sidecar->classes[c].threshold : (double)NAN;
    bool sigmoid = sal_model_output(plotted->model)->activation == SAL_SIGMOID;
    return isnan(given) && sigmoid ? 0.5 : given;
}

enum sal_status sal_plot_score(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                               struct sal_error *err)
{
    const struct sal_probe_answer *a = plotted->answer;
    const int c = plotted->class_index;
    double *p = calloc((size_t)a->n_logits, sizeof(*p));
    if (!p)
        return sal_fail(err, SAL_LIMIT, "no memory for %d scores", a->n_logits);
    sal_model_probabilities(plotted->model, a->before, p);
    const bool probable = !isnan(p[c]);
    const double given = probable ? p[c] : (double)a->before[c], least = threshold_of(plotted);
    free(p);
    snprintf(plot->text[SAL_PLOT_Y], sizeof(*plot->text), "%s of %.90s",
             probable ? "probability" : "logit", sal_model_class(plotted->model, c));
    plot->plot.y = (struct sal_plot_axis){.title = plot->text[SAL_PLOT_Y],
                                          .range = {0, probable ? 1 : 0}};
    char share[32] = "";
    if (probable) /* never rounded to a certainty */
        sal_probability_text(given, share, sizeof(share));
    else
        snprintf(share, sizeof(share), "%.3g", given);
    snprintf(plot->text[SAL_PLOT_GIVEN], sizeof(*plot->text), "as given %s", share);
    plot->plot.level[0] = (struct sal_plot_line){plot->text[SAL_PLOT_GIVEN], given};
    snprintf(plot->text[SAL_PLOT_THRESHOLD], sizeof(*plot->text), "threshold %.3g", least);
    if (probable && !isnan(least))
        plot->plot.level[1] = (struct sal_plot_line){plot->text[SAL_PLOT_THRESHOLD], least};
    if (!probable && a->n_logits == 1)
        plot->plot.level[1] = (struct sal_plot_line){"called from 0 on", 0};
    return SAL_OK;
}

/* What a search for a small change found, else the first radius within which there was one. */
static void mark_flip(const struct sal_plotted *plotted, struct sal_probe_plot *plot)
{
    const struct sal_probe_answer *a = plotted->answer;
    const struct sal_series *f = sal_probe_series(a, "attack_f");
    double at = a->flipped && !a->already ? a->bracket[1] : (double)NAN;
    const char *what = "flips at";
    for (int i = 0; f && i < f->n && isnan(at); i++)
        if ((f->y[i] >= 0) == (a->goal == SAL_GOAL_CREATE)) {
            at = f->x[i];
            what = "flips within";
        }
    if (!isfinite(at))
        return;
    name_length(plotted, what, at, plot->text[SAL_PLOT_FLIP], sizeof(*plot->text));
    plot->plot.mark[0] =
        (struct sal_plot_line){plot->text[SAL_PLOT_FLIP], at * main_unit(plotted)};
}

static void title_eps(const struct sal_plotted *plotted, struct sal_probe_plot *plot)
{
    struct sal_plot_axis *x = &plot->plot.x;
    const bool linf = plotted->answer->norm == SAL_LINF;
    x->log2 = true;
    x->second = linf ? 1 / levels_of(plotted, 1) : levels_of(plotted, 1);
    snprintf(plot->text[SAL_PLOT_X], sizeof(*plot->text), linf ? "eps (linf): levels of %u"
                                                          : "rms levels of %u", plotted->white);
    x->title = linf ? plot->text[SAL_PLOT_X] : "eps (l2): unit intensity";
    x->second_title = linf ? "unit intensity" : plot->text[SAL_PLOT_X];
}

static enum sal_status put_curve(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                                 struct sal_error *err)
{
    const struct sal_probe_answer *a = plotted->answer;
    const struct sal_series *attack = sal_probe_series(a, "attack");
    const struct sal_series *noise = sal_probe_series(a, "noise");
    const struct sal_series *low = sal_probe_series(a, "noise_low");
    const struct sal_series *high = sal_probe_series(a, "noise_high");
    const double *x = scaled(plot, attack->x, attack->n, main_unit(plotted));
    if (!x)
        return sal_fail(err, SAL_LIMIT, "no memory for a plot");
    plot->plot.title = "Score against eps";
    plot->plot.curve[0] = (struct sal_plot_curve){.name = "attack", .n = attack->n, .x = x,
                                                  .y = attack->y};
    if (noise && noise->n == attack->n)
        plot->plot.curve[1] = (struct sal_plot_curve){.name = "noise, mean", .n = noise->n,
                                                      .x = x, .y = noise->y};
    if (low && high && low->n == attack->n && high->n == attack->n)
        plot->plot.band = (struct sal_plot_band){"noise, 5 to 95 %", low->n, x, low->y, high->y};
    title_eps(plotted, plot);
    mark_flip(plotted, plot);
    return sal_plot_score(plotted, plot, err);
}

/* ---- the best so far ----------------------------------------------------------------------- */

/* Where pictures are tried in an order of their own, the best so far says nothing. */
static bool has_trail(const struct sal_probe_answer *a)
{
    const struct sal_series *trail = sal_probe_series(a, "trajectory");
    return !a->n_trials && trail && trail->n >= 2;
}

/* The points of the trail, and a last one where the search ended. */
static enum sal_status copy_trail(const struct sal_plotted *plotted, double scale,
                                  struct sal_probe_plot *plot, struct sal_error *err)
{
    const struct sal_probe_answer *a = plotted->answer;
    const struct sal_series *trail = sal_probe_series(a, "trajectory");
    const int n = trail->n;
    double *values = calloc(2 * (size_t)(n + 1), sizeof(*values));
    if (!values)
        return sal_fail(err, SAL_LIMIT, "no memory for a plot");
    double *x = values, *y = values + n + 1;
    for (int i = 0; i < n; i++) {
        x[i] = trail->x[i];
        y[i] = scale * trail->y[i];
    }
    x[n] = fmax((double)(a->forwards + a->backwards), x[n - 1]);
    y[n] = y[n - 1];
    plot->values = values;
    plot->plot.curve[0] =
        (struct sal_plot_curve){.name = "best so far", .n = n + 1, .x = x, .y = y, .steps = true};
    return SAL_OK;
}

enum { MANY_TIMES = 8 }; /* a range that a linear axis would flatten */

static void title_distance(const struct sal_plotted *plotted, struct sal_probe_plot *plot)
{
    const struct sal_series *trail = sal_probe_series(plotted->answer, "trajectory");
    plot->plot.title = "Smallest flip so far";
    if (plotted->answer->norm == SAL_LINF)
        snprintf(plot->text[SAL_PLOT_Y], sizeof(*plot->text), "linf, levels of %u", plotted->white);
    else
        snprintf(plot->text[SAL_PLOT_Y], sizeof(*plot->text), "l2, unit intensity");
    plot->plot.y.log2 = trail->y[0] > MANY_TIMES * trail->y[trail->n - 1];
    name_length(plotted, "smallest", trail->y[trail->n - 1], plot->text[SAL_PLOT_FLIP],
                sizeof(*plot->text));
    plot->plot.level[0] = (struct sal_plot_line){
        plot->text[SAL_PLOT_FLIP], trail->y[trail->n - 1] * main_unit(plotted)};
}

static void title_margin(const struct sal_plotted *plotted, struct sal_probe_plot *plot)
{
    bool create = plotted->answer->goal == SAL_GOAL_CREATE;
    plot->plot.title = "Nearest to a flip so far";
    snprintf(plot->text[SAL_PLOT_Y], sizeof(*plot->text), "%sf of %.90s",
             create ? "\xE2\x88\x92" : "", sal_model_class(plotted->model, plotted->class_index));
    plot->plot.level[0] = (struct sal_plot_line){"the decision changes below 0", 0};
}

/* Of a minimum norm it is the distance, in a ball the decision function. */
static enum sal_status put_trail(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                                 struct sal_error *err)
{
    const bool distance = isnan(plotted->answer->eps);
    enum sal_status status = copy_trail(plotted, distance ? main_unit(plotted) : 1, plot, err);
    if (status)
        return status;
    plot->plot.x = (struct sal_plot_axis){.title = "passes, forward and backward"};
    plot->plot.y = (struct sal_plot_axis){.title = plot->text[SAL_PLOT_Y]};
    if (distance)
        title_distance(plotted, plot);
    else
        title_margin(plotted, plot);
    return SAL_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

static const struct {
    bool (*has)(const struct sal_probe_answer *answer);
    enum sal_status (*put)(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                           struct sal_error *err);
} kinds[SAL_PROBE_PLOTS] = {
    [SAL_PROBE_CURVE] = {has_curve, put_curve},
    [SAL_PROBE_SETTING] = {sal_plot_has_setting, sal_plot_setting},
    [SAL_PROBE_SEVERITY] = {sal_plot_has_severity, sal_plot_severity},
    [SAL_PROBE_OVERLAP] = {sal_plot_has_overlap, sal_plot_overlap},
    [SAL_PROBE_TRAIL] = {has_trail, put_trail},
};

enum sal_probe_plot_kind sal_probe_plot_next(const struct sal_probe_answer *answer,
                                             enum sal_probe_plot_kind from)
{
    int kind = (int)from;
    while (kind < SAL_PROBE_PLOTS && !kinds[kind].has(answer))
        kind++;
    return (enum sal_probe_plot_kind)kind;
}

enum sal_status sal_probe_plot_of(const struct sal_probe_answer *answer,
                                  enum sal_probe_plot_kind kind, const struct sal_model *model,
                                  int class_index, unsigned white, struct sal_probe_plot *plot,
                                  struct sal_error *err)
{
    const struct sal_plotted plotted = {answer, model, class_index, white};
    *plot = (struct sal_probe_plot){0};
    enum sal_status status = kinds[kind].put(&plotted, plot, err);
    if (status)
        sal_probe_plot_release(plot);
    return status;
}
