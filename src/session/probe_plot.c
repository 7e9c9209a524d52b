/* What a probe measured, as plots: whoever shows them, in a terminal or in a figure, draws the
 * same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "saliscope/session.h"

/* What all kinds are made from. */
struct asked {
    const struct sal_probe_answer *answer;
    const struct sal_model *model;
    int class_index;
    unsigned white;
};

enum { X_TITLE, Y_TITLE, THRESHOLD, GIVEN, FLIP }; /* texts */

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
static double levels_of(const struct asked *asked, double length)
{
    const struct sal_probe_answer *a = asked->answer;
    double n = (double)a->planes * a->height * a->width;
    return length * asked->white / (a->norm == SAL_LINF ? 1 : sqrt(n));
}

/* Levels first in linf, the norm first in l2. */
static double main_unit(const struct asked *asked)
{
    return asked->answer->norm == SAL_LINF ? levels_of(asked, 1) : 1;
}

static void name_length(const struct asked *asked, const char *what, double length, char *text,
                        size_t size)
{
    if (asked->answer->norm == SAL_LINF)
        snprintf(text, size, "%s: linf %.4g levels (%.3g)", what, levels_of(asked, length),
                 length);
    else
        snprintf(text, size, "%s: l2 %.3g (rms %.4g levels)", what, length,
                 levels_of(asked, length));
}

/* ---- the score against eps ----------------------------------------------------------------- */

static bool has_curve(const struct sal_probe_answer *a)
{
    const struct sal_series *attack = sal_probe_series(a, "attack");
    return attack && attack->n >= 2;
}

static double threshold_of(const struct asked *asked)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(asked->model);
    int c = asked->class_index;
    double given = c < sidecar->n_classes ? sidecar->classes[c].threshold : (double)NAN;
    bool sigmoid = sal_model_output(asked->model)->activation == SAL_SIGMOID;
    return isnan(given) && sigmoid ? 0.5 : given;
}

/* The score that people know, and lines at the threshold and at that of the picture as given. */
static enum sal_status put_score(const struct asked *asked, struct sal_probe_plot *plot,
                                 struct sal_error *err)
{
    const struct sal_probe_answer *a = asked->answer;
    const int c = asked->class_index;
    double *p = calloc((size_t)a->n_logits, sizeof(*p));
    if (!p)
        return sal_fail(err, SAL_LIMIT, "no memory for %d scores", a->n_logits);
    sal_model_probabilities(asked->model, a->before, p);
    const bool probable = !isnan(p[c]);
    const double given = probable ? p[c] : (double)a->before[c], least = threshold_of(asked);
    free(p);
    snprintf(plot->text[Y_TITLE], sizeof(*plot->text), "%s of %.90s",
             probable ? "probability" : "logit", sal_model_class(asked->model, c));
    plot->plot.y = (struct sal_plot_axis){.title = plot->text[Y_TITLE],
                                          .range = {0, probable ? 1 : 0}};
    snprintf(plot->text[GIVEN], sizeof(*plot->text), "as given %.3g", given);
    plot->plot.level[0] = (struct sal_plot_line){plot->text[GIVEN], given};
    snprintf(plot->text[THRESHOLD], sizeof(*plot->text), "threshold %.3g", least);
    if (probable && !isnan(least))
        plot->plot.level[1] = (struct sal_plot_line){plot->text[THRESHOLD], least};
    if (!probable && a->n_logits == 1)
        plot->plot.level[1] = (struct sal_plot_line){"called from 0 on", 0};
    return SAL_OK;
}

/* What a search for a small change found, else the first radius within which there was one. */
static void mark_flip(const struct asked *asked, struct sal_probe_plot *plot)
{
    const struct sal_probe_answer *a = asked->answer;
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
    name_length(asked, what, at, plot->text[FLIP], sizeof(*plot->text));
    plot->plot.mark[0] = (struct sal_plot_line){plot->text[FLIP], at * main_unit(asked)};
}

static void title_eps(const struct asked *asked, struct sal_probe_plot *plot)
{
    struct sal_plot_axis *x = &plot->plot.x;
    const bool linf = asked->answer->norm == SAL_LINF;
    x->log2 = true;
    x->second = linf ? 1 / levels_of(asked, 1) : levels_of(asked, 1);
    snprintf(plot->text[X_TITLE], sizeof(*plot->text), linf ? "eps (linf): levels of %u"
                                                          : "rms levels of %u", asked->white);
    x->title = linf ? plot->text[X_TITLE] : "eps (l2): unit intensity";
    x->second_title = linf ? "unit intensity" : plot->text[X_TITLE];
}

static enum sal_status put_curve(const struct asked *asked, struct sal_probe_plot *plot,
                                 struct sal_error *err)
{
    const struct sal_probe_answer *a = asked->answer;
    const struct sal_series *attack = sal_probe_series(a, "attack");
    const struct sal_series *noise = sal_probe_series(a, "noise");
    const struct sal_series *low = sal_probe_series(a, "noise_low");
    const struct sal_series *high = sal_probe_series(a, "noise_high");
    const double *x = scaled(plot, attack->x, attack->n, main_unit(asked));
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
    title_eps(asked, plot);
    mark_flip(asked, plot);
    return put_score(asked, plot, err);
}

/* ---- the best so far ----------------------------------------------------------------------- */

static bool has_trail(const struct sal_probe_answer *a)
{
    const struct sal_series *trail = sal_probe_series(a, "trajectory");
    return trail && trail->n >= 2;
}

/* The points of the trail, and a last one where the search ended. */
static enum sal_status copy_trail(const struct asked *asked, double scale,
                                  struct sal_probe_plot *plot, struct sal_error *err)
{
    const struct sal_probe_answer *a = asked->answer;
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

static void title_distance(const struct asked *asked, struct sal_probe_plot *plot)
{
    const struct sal_series *trail = sal_probe_series(asked->answer, "trajectory");
    plot->plot.title = "Smallest flip so far";
    if (asked->answer->norm == SAL_LINF)
        snprintf(plot->text[Y_TITLE], sizeof(*plot->text), "linf, levels of %u", asked->white);
    else
        snprintf(plot->text[Y_TITLE], sizeof(*plot->text), "l2, unit intensity");
    plot->plot.y.log2 = trail->y[0] > MANY_TIMES * trail->y[trail->n - 1];
    name_length(asked, "smallest", trail->y[trail->n - 1], plot->text[FLIP],
                sizeof(*plot->text));
    plot->plot.level[0] = (struct sal_plot_line){
        plot->text[FLIP], trail->y[trail->n - 1] * main_unit(asked)};
}

static void title_margin(const struct asked *asked, struct sal_probe_plot *plot)
{
    bool create = asked->answer->goal == SAL_GOAL_CREATE;
    plot->plot.title = "Nearest to a flip so far";
    snprintf(plot->text[Y_TITLE], sizeof(*plot->text), "%sf of %.90s",
             create ? "\xE2\x88\x92" : "", sal_model_class(asked->model, asked->class_index));
    plot->plot.level[0] = (struct sal_plot_line){"the decision changes below 0", 0};
}

/* Of a minimum norm it is the distance, in a ball the decision function. */
static enum sal_status put_trail(const struct asked *asked, struct sal_probe_plot *plot,
                                 struct sal_error *err)
{
    const bool distance = isnan(asked->answer->eps);
    enum sal_status status = copy_trail(asked, distance ? main_unit(asked) : 1, plot, err);
    if (status)
        return status;
    plot->plot.x = (struct sal_plot_axis){.title = "passes, forward and backward"};
    plot->plot.y = (struct sal_plot_axis){.title = plot->text[Y_TITLE]};
    if (distance)
        title_distance(asked, plot);
    else
        title_margin(asked, plot);
    return SAL_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

static const struct {
    bool (*has)(const struct sal_probe_answer *answer);
    enum sal_status (*put)(const struct asked *asked, struct sal_probe_plot *plot,
                           struct sal_error *err);
} kinds[SAL_PROBE_PLOTS] = {
    [SAL_PROBE_CURVE] = {has_curve, put_curve},
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
    const struct asked asked = {answer, model, class_index, white};
    *plot = (struct sal_probe_plot){0};
    enum sal_status status = kinds[kind].put(&asked, plot, err);
    if (status)
        sal_probe_plot_release(plot);
    return status;
}
