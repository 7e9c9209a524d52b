/* Plots of pictures that were tried one by one: the score over what was set, or over the
 * severity of several things that were done. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe_plot.h"

/* ---- over the setting ---------------------------------------------------------------------- */

static bool enough(const struct sal_series *series)
{
    return series && series->n >= 2;
}

bool sal_plot_has_setting(const struct sal_probe_answer *a)
{
    return enough(sal_probe_series(a, "setting"));
}

enum sal_status sal_plot_setting(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                                 struct sal_error *err)
{
    static const char *const names[][2] = {{"setting", "score"},
                                           {"setting_second", "the other ways"}};
    const struct sal_probe_answer *a = plotted->answer;
    const struct sal_trial *trial = a->n_trials ? &a->trials[0] : NULL;
    const bool unit = trial && trial->unit && *trial->unit;
    plot->plot.title = "Score over the setting";
    snprintf(plot->text[SAL_PLOT_X], sizeof(*plot->text), "%.60s%s%s",
             trial ? trial->name : "setting", unit ? ", " : "", unit ? trial->unit : "");
    plot->plot.x.title = plot->text[SAL_PLOT_X];
    for (int i = 0, n = 0; i < 2; i++) {
        const struct sal_series *series = sal_probe_series(a, names[i][0]);
        if (enough(series))
            plot->plot.curve[n++] = (struct sal_plot_curve){
                .name = names[i][1], .n = series->n, .x = series->x, .y = series->y};
    }
    return sal_plot_score(plotted, plot, err);
}

/* ---- over the severity --------------------------------------------------------------------- */

/* Severities of one thing that was done, in one way, one behind the other. */
struct scale {
    const struct sal_trial *first, *last;
    int n;
    double furthest; /* f where it is closest to the goal, or beyond: towards it negative */
    int curve;       /* -1: not drawn */
};

/* Where the next begins that has two severities or more; NULL: there is none. A trial without
 * severity is passed over. */
static const struct sal_trial *next_scale(const struct sal_probe_answer *a,
                                          const struct sal_trial *from, struct scale *scale)
{
    const struct sal_trial *end = a->trials + a->n_trials, *t = from;
    double sign = a->goal == SAL_GOAL_CREATE ? -1 : 1;
    *scale = (struct scale){.furthest = INFINITY, .curve = -1};
    for (; t < end; t++) {
        bool starts = scale->n && (strcmp(t->name, scale->first->name) != 0 ||
                                   (t->severity && t->severity <= scale->last->severity));
        if (starts && scale->n > 1)
            break;
        if (starts)
            scale->n = 0;
        if (!t->severity)
            continue;
        scale->first = scale->n++ ? scale->first : t;
        scale->last = t;
        scale->furthest = scale->n == 1 ? sign * t->f : fmin(scale->furthest, sign * t->f);
    }
    return scale->n > 1 ? t : NULL;
}

bool sal_plot_has_severity(const struct sal_probe_answer *a)
{
    struct scale scale;
    return a->n_trials && next_scale(a, a->trials, &scale);
}

/* What all titles of a scale begin with, in whole words: "contrast lower". */
static void name_scale(const struct scale *scale, char *text, size_t size)
{
    snprintf(text, size, "%s", scale->first->title);
    for (const struct sal_trial *t = scale->first; t <= scale->last; t++) {
        size_t same = 0;
        while (t->severity && text[same] && text[same] == t->title[same])
            same++;
        if (t->severity && text[same]) {
            while (same && text[same] != ' ')
                same--;
            text[same] = '\0';
        }
    }
    if (!*text)
        snprintf(text, size, "%s", scale->first->name);
}

/* Of many those that go furthest. */
static void choose(struct scale *scales, int n)
{
    for (int curve = 0; curve < SAL_PLOT_CURVES && curve < n; curve++) {
        struct scale *best = NULL;
        for (int i = 0; i < n; i++)
            if (scales[i].curve < 0 && (!best || scales[i].furthest < best->furthest))
                best = &scales[i];
        best->curve = curve;
    }
}

static void draw_scale(struct sal_probe_plot *plot, const struct scale *scale, double *x,
                       double *y)
{
    char *name = plot->text[SAL_PLOT_NAMES + scale->curve];
    int n = 0;
    for (const struct sal_trial *t = scale->first; t <= scale->last; t++)
        if (t->severity) {
            x[n] = t->severity;
            y[n++] = t->score;
        }
    name_scale(scale, name, sizeof(*plot->text));
    plot->plot.curve[scale->curve] =
        (struct sal_plot_curve){.name = name, .n = n, .x = x, .y = y};
}

enum sal_status sal_plot_severity(const struct sal_plotted *plotted,
                                  struct sal_probe_plot *plot, struct sal_error *err)
{
    const struct sal_probe_answer *a = plotted->answer;
    const size_t room = (size_t)a->n_trials;
    struct scale *scales = calloc(room + 1, sizeof(*scales));
    plot->values = calloc(2 * room + 2, sizeof(*plot->values));
    if (!scales || !plot->values) {
        free(scales);
        return sal_fail(err, SAL_LIMIT, "no memory for a plot");
    }
    int n = 0;
    for (const struct sal_trial *t = a->trials; t && (t = next_scale(a, t, &scales[n]));)
        n++;
    choose(scales, n);
    plot->plot.title = n > SAL_PLOT_CURVES ? "Score against severity, of what goes furthest"
                                           : "Score against severity";
    plot->plot.x.title = "severity";
    double *at = plot->values;
    for (int i = 0; i < n; i++)
        if (scales[i].curve >= 0) {
            draw_scale(plot, &scales[i], at, at + scales[i].n);
            at += 2 * scales[i].n;
        }
    free(scales);
    return sal_plot_score(plotted, plot, err);
}
