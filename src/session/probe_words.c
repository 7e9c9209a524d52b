/* A probe's answer in words: the same wherever they are read. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

/* What all of it is told from, and to whom. */
struct telling {
    const struct sal_probe_answer *answer;
    const struct sal_probe *probe;
    const struct sal_model *model;
    int class_index;
    unsigned white;
    double seconds;
    const struct sal_listener *to;
};

static void say(const struct telling *t, enum sal_weight weight, const char *label,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static void say(const struct telling *t, enum sal_weight weight, const char *label,
                const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    t->to->hear(t->to->self, weight, label, text);
}

/* ---- the decision -------------------------------------------------------------------------- */

static bool decides_labels(const struct telling *t)
{
    return sal_model_output(t->model)->activation == SAL_SIGMOID || t->answer->n_logits == 1;
}

/* The class that is called in the other's place; of a search under way it is not known. */
static const char *rival(const struct telling *t, const sal_real *logits)
{
    int top = sal_model_top_class(t->model, logits);
    return top == t->class_index ? "another" : sal_model_class(t->model, top);
}

static void tell_flip(const struct telling *t)
{
    const struct sal_probe_answer *a = t->answer;
    const char *name = sal_model_class(t->model, t->class_index);
    const bool hide = a->goal == SAL_GOAL_HIDE;
    if (decides_labels(t))
        say(t, SAL_WEIGHT_VERDICT, "", "the decision changes: %s is %s", name,
            hide ? "no longer called" : "called");
    else
        say(t, SAL_WEIGHT_VERDICT, "", "the decision changes: %s instead of %s",
            hide ? rival(t, a->after) : name, hide ? name : rival(t, a->before));
}

/* Of a probe that wants the decision held, and the explanation another. */
static void tell_held(const struct telling *t)
{
    const char *name = sal_model_class(t->model, t->class_index);
    if (t->answer->found)
        say(t, SAL_WEIGHT_VERDICT, "", "the map changes, the decision about %s holds", name);
    else
        say(t, SAL_WEIGHT_VERDICT, "", "no change found that moves the map while the decision "
            "about %s holds: this is no proof of stability", name);
}

static void tell_verdict(const struct telling *t)
{
    const struct sal_probe_answer *a = t->answer;
    const char *name = sal_model_class(t->model, t->class_index);
    if (a->sought == SAL_SEEK_EXPLANATION)
        tell_held(t);
    else if (a->already)
        say(t, SAL_WEIGHT_VERDICT, "", "%s is %s as it is: there is nothing to change", name,
            a->goal == SAL_GOAL_HIDE ? "not called" : "called");
    else if (a->flipped)
        tell_flip(t);
    else if (t->probe->needs & SAL_PROBE_ATTACK)
        say(t, SAL_WEIGHT_VERDICT, "", "no change found that would %s %s: this is no proof of "
            "robustness", sal_goal_names[a->goal], name);
    else
        say(t, SAL_WEIGHT_VERDICT, "", "nothing that was tried would %s %s",
            sal_goal_names[a->goal], name);
}

/* Other labels that changed sides. */
static void tell_others(const struct telling *t)
{
    const struct sal_probe_answer *a = t->answer;
    double *p = calloc((size_t)a->n_logits * 2, sizeof(*p)), *q = p ? p + a->n_logits : NULL;
    if (!p)
        return;
    sal_model_probabilities(t->model, a->before, p);
    sal_model_probabilities(t->model, a->after, q);
    bool first = true;
    for (int i = 0; decides_labels(t) && i < a->n_logits; i++) {
        bool was = sal_model_flagged(t->model, i, p[i]), is = sal_model_flagged(t->model, i, q[i]);
        if (i == t->class_index || was == is)
            continue;
        say(t, SAL_WEIGHT_PLAIN, first ? "also" : "", "%s is %s", sal_model_class(t->model, i),
            is ? "called" : "no longer called");
        first = false;
    }
    free(p);
}

/* ---- sizes --------------------------------------------------------------------------------- */

char *sal_probe_length(const struct sal_probe_answer *a, double length, unsigned white,
                       char *dst, size_t capacity)
{
    double n = (double)a->planes * a->height * a->width;
    if (a->norm == SAL_LINF)
        snprintf(dst, capacity, "linf %.4g (%.3g of %u levels)", length, length * white, white);
    else
        snprintf(dst, capacity, "l2 %.4g (rms %.3g of %u levels)", length,
                 length * white / sqrt(n), white);
    return dst;
}

/* "0.92 of 255 levels (linf 0.0036)", "rms 0.4 of 255 levels (l2 0.51)" */
static const char *length_text(const struct telling *t, double length, char dst[96])
{
    const struct sal_probe_answer *a = t->answer;
    const double n = (double)a->planes * a->height * a->width;
    if (a->norm == SAL_LINF)
        snprintf(dst, 96, "%.3g of %u levels (linf %.4g)", length * t->white, t->white, length);
    else
        snprintf(dst, 96, "rms %.3g of %u levels (l2 %.4g)", length * t->white / sqrt(n),
                 t->white, length);
    return dst;
}

static void tell_distance(const struct telling *t)
{
    const struct sal_probe_answer *a = t->answer;
    const struct sal_distance *d = &a->distance;
    if (!isnan(a->f_before) && !isnan(a->f_after))
        say(t, SAL_WEIGHT_PLAIN, "f", "%.4g before, %.4g after; called where it is not below 0",
            a->f_before, a->f_after);
    const long long pixels = (long long)a->height * a->width;
    say(t, SAL_WEIGHT_PLAIN, "change",
        "linf %.3g of %u levels (%.4g), l2 %.4g, %lld of %lld pixels", d->linf * t->white,
        t->white, d->linf, d->l2, (long long)d->changed, pixels);
}

char *sal_probe_tightness(const struct sal_probe_answer *a, char *dst, size_t capacity)
{
    const double share = a->bracket[0] / a->bracket[1];
    if (isfinite(share))
        snprintf(dst, capacity, "%.5g of that does not flip yet", share);
    else
        snprintf(dst, capacity, "nothing smaller was tried");
    return dst;
}

/* Of a flip that was made small: how tight, and what it does not say. */
static void tell_bracket(const struct telling *t)
{
    const double *bracket = t->answer->bracket;
    char text[64];
    if (!t->answer->flipped || t->answer->already || !isfinite(bracket[1]))
        return;
    say(t, SAL_WEIGHT_PLAIN, "bound", "%s; other changes may be smaller",
        sal_probe_tightness(t->answer, text, sizeof(text)));
}

static void tell_saved(const struct telling *t, const char *label, const struct sal_saved *saved)
{
    if (!saved->white)
        return;
    if (saved->survives)
        say(t, SAL_WEIGHT_PLAIN, label, "to %u levels: the flip survives", saved->white);
    else if (saved->flipped)
        say(t, SAL_WEIGHT_PLAIN, label,
            "to %u levels: undoes the flip; %.5g times the change survives", saved->white,
            saved->scale);
    else
        say(t, SAL_WEIGHT_PLAIN, label,
            "to %u levels: undoes the flip, even of %.3g times the change", saved->white,
            saved->scale);
}

/* It shows another picture than was given. */
static bool is_altered(const struct sal_probe_answer *answer)
{
    return answer->distance.linf > 0;
}

static void tell_search(const struct telling *t)
{
    const struct sal_probe_answer *a = t->answer;
    char text[96];
    if (is_altered(a))
        tell_distance(t);
    if (!isnan(a->eps))
        say(t, SAL_WEIGHT_PLAIN, "allowed", "%s", length_text(t, a->eps, text));
    tell_bracket(t);
    if (!a->flipped && a->sought == SAL_SEEK_FLIP && isfinite(a->best_margin))
        say(t, SAL_WEIGHT_PLAIN, "nearest", "f %.4g, before %.4g; the decision changes at 0",
            a->goal == SAL_GOAL_CREATE ? -a->best_margin : a->best_margin, a->f_before);
    if (isfinite(a->estimate))
        say(t, SAL_WEIGHT_PLAIN, "estimate", "%s, to first order",
            length_text(t, a->estimate, text));
    else if (!isnan(a->estimate))
        say(t, SAL_WEIGHT_PLAIN, "estimate",
            "to first order no flip within the image's range");
    tell_saved(t, "rounded", &a->stored);
    tell_saved(t, a->stored.white ? "" : "rounded", &a->deep);
}

static void tell_noise(const struct telling *t)
{
    const struct sal_control *noise = &t->answer->noise;
    char text[96];
    if (noise->n)
        say(t, SAL_WEIGHT_PLAIN, "noise", "of %s: %d of %d flip (at 95 %% fewer than %.2g %%)",
            length_text(t, noise->eps, text), noise->flips, noise->n, noise->upper * 100);
}

/* Of the map's highest pixels, how many are among them still. */
static void tell_displaced(const struct telling *t)
{
    const struct sal_displaced *d = &t->answer->displaced;
    const bool there = d->top && !isnan(d->overlap);
    if (there)
        say(t, SAL_WEIGHT_PLAIN, "top", "%.3g %% of the map's %lld pixels are left",
            100 * d->overlap, (long long)d->top);
    if (there && !isnan(d->stored))
        say(t, SAL_WEIGHT_PLAIN, "", "rounded to %u levels %.3g %%; decision and score %s",
            t->white, 100 * d->stored, d->stored_holds ? "hold" : "do not hold");
    if (d->draws)
        say(t, SAL_WEIGHT_PLAIN, "noise", "of that eps leaves %.3g %% (%.3g to %.3g)",
            100 * d->noise, 100 * d->noise_low, 100 * d->noise_high);
}

static void tell_maps(const struct telling *t, const struct sal_snapshot *snapshot)
{
    const struct sal_stability *maps = snapshot->stability;
    char text[200];
    if (!maps)
        return;
    say(t, SAL_WEIGHT_PLAIN, "map", "%s, the decision %s: %s", snapshot->probe_ask.beside->title,
        maps->decision_held ? "held" : "changed",
        sal_stability_text(maps, text, sizeof(text)));
}

/* ---- what was tried, and whether to believe it --------------------------------------------- */

/* What this probe alone has. */
static void tell_figures(const struct telling *t)
{
    const struct sal_probe_answer *a = t->answer;
    for (int i = 0; i < a->n_facts; i++) {
        const struct sal_fact *fact = &a->facts[i];
        const char *label = i ? "" : "figures";
        if (isnan(fact->value))
            say(t, SAL_WEIGHT_PLAIN, label, "%s: none", fact->title);
        else
            say(t, SAL_WEIGHT_PLAIN, label, "%s: %.4g%s%s", fact->title, fact->value,
                *fact->unit ? " " : "", fact->unit);
    }
}

static void tell_trials(const struct telling *t)
{
    const struct sal_probe_answer *a = t->answer;
    for (int i = 0; i < a->n_trials; i++) {
        const struct sal_trial *trial = &a->trials[i];
        const char *label = i ? "" : "tried";
        if (trial->draws > 1)
            say(t, SAL_WEIGHT_PLAIN, label, "%s: %.4g (f %.3g), %d of %d flip",
                trial->title, trial->score, trial->f, trial->flips, trial->draws);
        else
            say(t, SAL_WEIGHT_PLAIN, label, "%s: %.4g (f %.3g)%s", trial->title,
                trial->score, trial->f, trial->flips ? ", flips" : "");
    }
}

static void tell_lights(const struct telling *t, bool alarm)
{
    const struct sal_probe_answer *a = t->answer;
    for (int i = 0; i < a->n_lights; i++)
        if (a->lights[i].alarm == alarm)
            say(t, alarm ? SAL_WEIGHT_ALARM : SAL_WEIGHT_PLAIN, alarm ? "ALARM" : "fine",
                "%s: %s", a->lights[i].title, a->lights[i].text);
}

void sal_probe_tell(const struct sal_snapshot *snapshot, const struct sal_model *model,
                    const struct sal_listener *to)
{
    const struct sal_probe_answer *a = snapshot->answer;
    const struct telling telling = {a,
                                    snapshot->probe_ask.probe,
                                    model,
                                    snapshot->probe_ask.class_index,
                                    snapshot->image->max,
                                    snapshot->probe_seconds,
                                    to};
    const struct telling *t = &telling;
    tell_verdict(t);
    if (a->partial)
        say(t, SAL_WEIGHT_ALARM, "", "partial: %s", a->note);
    tell_lights(t, true);
    if (is_altered(a))
        tell_others(t);
    tell_search(t);
    tell_noise(t);
    tell_displaced(t);
    tell_maps(t, snapshot);
    tell_figures(t);
    tell_trials(t);
    tell_lights(t, false);
    say(t, SAL_WEIGHT_PLAIN, "passes", "%ld forward, %ld backward, %.2f s", a->forwards,
        a->backwards, t->seconds);
    if (*a->note && !a->partial)
        say(t, SAL_WEIGHT_PLAIN, "note", "%s", a->note);
}
