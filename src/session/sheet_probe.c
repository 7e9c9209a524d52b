/* The figure of a probe: what the network sees, the altered picture, the change magnified,
 * and what was measured, with all that it takes to read it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe_plot.h"
#include "record.h"
#include "sheet.h"

enum { IMAGE, ALTERED, CHANGE }; /* pictures, and their panels */

/* ---- text --------------------------------------------------------------------------------- */

static const char *verdict(const struct sal_probe_answer *a)
{
    if (a->sought == SAL_SEEK_EXPLANATION)
        return a->found ? "its map changes" : "no other map was found";
    if (a->already)
        return "it is decided so already";
    return a->flipped ? "the decision changes" : "no change was found";
}

/* "f 5.17, probability 98.65 %" */
static void side_text(const struct sal_model *model, int c, const sal_real *logits, int n,
                      double f, char *text, size_t size)
{
    double *p = calloc((size_t)n, sizeof(*p));
    char share[32] = "";
    if (p) {
        sal_model_probabilities(model, logits, p);
        sal_probability_text(p[c], share, sizeof(share));
    }
    free(p);
    snprintf(text, size, "f %.4g, logit %.4g%s%s", f, (double)logits[c],
             *share ? ", probability " : "", share);
}

static void say_decision(struct sal_sheet *sheet, const struct sal_model *model,
                         const struct sal_probed *probed)
{
    const struct sal_probe_answer *a = &probed->answer;
    const int c = probed->ask.class_index;
    char before[96], after[96];
    snprintf(sheet->title, sizeof(sheet->title), "%s: %s", probed->ask.probe->title,
             sal_model_class(model, c));
    sal_sheet_say(sheet, "To %s class %d (%.120s), which is called where f is not below 0: %s",
                  a->sought == SAL_SEEK_FLIP ? sal_goal_names[a->goal] : "hold the decision about",
                  c, sal_model_class(model, c), verdict(a));
    side_text(model, c, a->before, a->n_logits, a->f_before, before, sizeof(before));
    side_text(model, c, a->after, a->n_logits, a->f_after, after, sizeof(after));
    if (a->found)
        sal_sheet_say(sheet, "Before: %s. After: %s", before, after);
    else
        sal_sheet_say(sheet, "As given: %s", before);
    const struct sal_displaced *d = &a->displaced;
    if (a->found && d->top && d->draws)
        sal_sheet_say(sheet, "Of the top %lld pixels of the input gradient %.3g are left, under "
                             "noise of that eps %.3g (%d draws)", (long long)d->top, d->overlap,
                      d->noise, d->draws);
    else if (a->found && d->top)
        sal_sheet_say(sheet, "Of the top %lld pixels of the input gradient %.3g are left",
                      (long long)d->top, d->overlap);
}

static const char *saved_text(const struct sal_probe_answer *a)
{
    if (!a->stored.white || a->sought != SAL_SEEK_FLIP)
        return "";
    return a->stored.survives ? "; the flip survives rounding to levels"
                              : "; rounding to levels undoes the flip";
}

static void say_sizes(struct sal_sheet *sheet, const struct sal_probe_answer *a, unsigned white)
{
    char text[96], other[96], tight[64];
    if (!isnan(a->eps))
        sal_sheet_say(sheet, "Allowed: %s", sal_probe_length(a, a->eps, white, text, sizeof(text)));
    if (a->distance.changed)
        sal_sheet_say(sheet, "Change: linf %.4g (%.4g of %u levels), l2 %.4g, %lld of %lld "
                             "pixels%s", a->distance.linf, a->distance.linf * white, white,
                      a->distance.l2, (long long)a->distance.changed,
                      (long long)a->height * a->width, saved_text(a));
    if (isfinite(a->bracket[1]))
        sal_sheet_say(sheet, "Flips at %s; %s%s%s",
                      sal_probe_length(a, a->bracket[1], white, text, sizeof(text)),
                      sal_probe_tightness(a, tight, sizeof(tight)),
                      isfinite(a->estimate) ? "; to first order at " : "",
                      isfinite(a->estimate)
                          ? sal_probe_length(a, a->estimate, white, other, sizeof(other))
                          : "");
    if (a->noise.n)
        sal_sheet_say(sheet, "Noise of %s: %d of %d flip (at 95 %% fewer than %.2g %%)",
                      sal_probe_length(a, a->noise.eps, white, text, sizeof(text)), a->noise.flips,
                      a->noise.n, a->noise.upper * 100);
}

static void say_facts(struct sal_sheet *sheet, const struct sal_probe_answer *a)
{
    char line[sizeof(*sheet->line)] = "";
    for (int i = 0; i < a->n_facts; i++) {
        const struct sal_fact *fact = &a->facts[i];
        char text[120];
        snprintf(text, sizeof(text), "%.80s: %.4g%s%s", fact->title, fact->value,
                 *fact->unit ? " " : "", fact->unit);
        if (isnan(fact->value))
            snprintf(text, sizeof(text), "%.80s: none", fact->title);
        size_t used = strlen(line);
        if (used + strlen(text) + 2 >= sizeof(line)) {
            sal_sheet_say(sheet, "%s", line);
            used = 0;
        }
        snprintf(line + used, sizeof(line) - used, "%s%s", used ? "; " : "", text);
    }
    if (*line)
        sal_sheet_say(sheet, "%s", line);
}

static void trial_text(const struct sal_trial *trial, char *text, size_t size)
{
    char flips[32] = "";
    if (trial->draws > 1)
        snprintf(flips, sizeof(flips), " (%d of %d flip)", trial->flips, trial->draws);
    else if (trial->flips)
        snprintf(flips, sizeof(flips), " (flips)");
    snprintf(text, size, "%s: %.3g%s", trial->title, trial->score, flips);
}

/* Where they are no curve they are words: as many to a line as it has room for. */
static void say_trials(struct sal_sheet *sheet, const struct sal_probe_answer *a)
{
    char line[sizeof(*sheet->line)] = "Scores of what was tried: ";
    const char *between = "";
    if (!a->n_trials || sal_plot_has_severity(a))
        return;
    for (int i = 0; i < a->n_trials; i++) {
        char text[160];
        trial_text(&a->trials[i], text, sizeof(text));
        size_t used = strlen(line);
        if (used + strlen(between) + strlen(text) >= sizeof(line)) {
            sal_sheet_say(sheet, "%s", line);
            between = "";
            used = 0;
        }
        snprintf(line + used, sizeof(line) - used, "%s%s", between, text);
        between = "; ";
    }
    sal_sheet_say(sheet, "%s", line);
}

static void say_probe(struct sal_sheet *sheet, const struct sal_writing *writing)
{
    const struct sal_probed *probed = writing->held->probed;
    const struct sal_probe_answer *a = &probed->answer;
    const struct sal_probe *probe = probed->ask.probe;
    char params[160];
    sal_record_params_text(&probed->ask, params, sizeof(params));
    sal_sheet_say(sheet, "Probe: %s%s%s%s; seed %llu; %ld passes forward, %ld back%s",
                  probe->name, *params ? " (" : "", params, *params ? ")" : "",
                  (unsigned long long)writing->session->options.seed, a->forwards,
                  a->backwards, a->partial ? "; PARTIAL: stopped early" : "");
    for (int i = 0; i < a->n_lights; i++)
        if (a->lights[i].alarm)
            sal_sheet_say(sheet, "ALARM, %.60s: %s", a->lights[i].title, a->lights[i].text);
    if (*a->note)
        sal_sheet_say(sheet, "Note: %s", a->note);
    say_facts(sheet, a);
    say_trials(sheet, a);
}

static void say_maps(struct sal_sheet *sheet, const struct sal_probed *probed)
{
    char text[200];
    if (probed->stability)
        sal_sheet_say(sheet, "%s before and after: %s; the decision %s",
                      probed->ask.beside->title,
                      sal_stability_text(probed->stability, text, sizeof(text)),
                      probed->stability->decision_held ? "holds" : "changes");
}

/* What must not be read into it. */
static void say_limits(struct sal_sheet *sheet, const struct sal_probed *probed)
{
    const struct sal_probe_answer *a = &probed->answer;
    const bool attack = probed->ask.probe->needs & SAL_PROBE_ATTACK;
    if (sal_probe_series(a, "attack"))
        sal_sheet_say(sheet, "Each score under attack is the worst that was found within its eps: "
                             "there may be worse ones");
    if (a->sought == SAL_SEEK_FLIP && a->found)
        sal_sheet_say(sheet, "The change that was found is an upper bound: a smaller one may do "
                             "it too");
    else if (attack && a->partial) /* else the note says it */
        sal_sheet_say(sheet, "That nothing was found so far is no sign of robustness");
    sal_sheet_say(sheet, "saliscope %s: an altered picture, to change a classifier's %s: no "
                         "recording of anything", SAL_VERSION,
                  a->sought == SAL_SEEK_FLIP ? "decision" : "explanation");
}

/* ---- pictures ------------------------------------------------------------------------------ */

enum { SCREEN_WHITE = 255 };

/* The network's picture with its change times scale. */
static enum sal_status draw_picture(struct sal_picture *picture,
                                    const struct sal_probe_answer *a,
                                    const struct sal_model *model, double scale,
                                    struct sal_error *err)
{
    struct sal_image image;
    enum sal_status status = sal_probe_picture(a, model, SCREEN_WHITE, scale, &image, err);
    if (status)
        return status;
    status = sal_picture_from_image(picture, &image, a->width, a->height, err);
    sal_image_release(&image);
    return status;
}

/* Of several planes the largest change of a pixel, so that none is hidden. */
static float change_at(const struct sal_probe_answer *a, int64_t pixel)
{
    const int64_t pixels = (int64_t)a->height * a->width;
    float most = 0;
    for (int c = 0; c < a->planes; c++) {
        float change = a->change[c * pixels + pixel];
        if (fabsf(change) > fabsf(most))
            most = change;
    }
    return most;
}

static enum sal_status draw_change(struct sal_sheet *sheet, const struct sal_probe_answer *a,
                                   unsigned white, struct sal_error *err)
{
    const struct sal_figure_panel *panel = &sheet->figure.panel[CHANGE];
    const int64_t pixels = (int64_t)a->height * a->width;
    struct sal_picture *picture = &sheet->picture[CHANGE];
    const struct sal_overlay overlay = {
        .colormap = panel->colormap, .range = panel->range, .alpha = 1};
    float *levels = calloc((size_t)pixels, sizeof(*levels));
    if (!levels)
        return sal_fail(err, SAL_LIMIT, "no memory for a picture of the change");
    for (int64_t i = 0; i < pixels; i++)
        levels[i] = change_at(a, i) * (float)white;
    enum sal_status status = sal_picture_init(picture, a->width, a->height, err);
    if (!status)
        sal_overlay_draw(&overlay, picture, levels);
    free(levels);
    return status;
}

/* A change lies in -1..1 of unit intensity: in full colour at linf it is 1 / linf times as
 * strong as it is. */
static void label_change(struct sal_sheet *sheet, const struct sal_probe_answer *a,
                         const struct sal_view *view, unsigned white)
{
    const double most = a->distance.linf * white, times = 1 / a->distance.linf;
    snprintf(sheet->label, sizeof(sheet->label), "change, magnified %.*f times",
             times < 10 ? 2 : times < 100 ? 1 : 0, times);
    snprintf(sheet->unit, sizeof(sheet->unit), "levels of %u%s", white,
             a->planes > 1 ? ", largest channel" : "");
    sheet->figure.panel[CHANGE] = (struct sal_figure_panel){
        .picture = &sheet->picture[CHANGE],
        .label = sheet->label,
        .colormap = view->colormap && view->colormap->diverging ? view->colormap
                                                                : sal_colormap_default(true),
        .range = {-most, most},
        .unit = sheet->unit};
}

static enum sal_status draw_pictures(struct sal_sheet *sheet, const struct sal_writing *writing,
                                     unsigned white, struct sal_error *err)
{
    const struct sal_probe_answer *a = &writing->held->probed->answer;
    const struct sal_model *model = writing->session->model;
    struct sal_figure *figure = &sheet->figure;
    enum sal_status status = draw_picture(&sheet->picture[IMAGE], a, model, 0, err);
    figure->panel[IMAGE] = (struct sal_figure_panel){.picture = &sheet->picture[IMAGE],
                                                     .label = "image, as the network sees it"};
    figure->n_panels = 1;
    if (status || !a->distance.changed)
        return status;
    figure->panel[ALTERED] = (struct sal_figure_panel){.picture = &sheet->picture[ALTERED],
                                                       .label = "altered picture"};
    label_change(sheet, a, writing->view, white);
    figure->n_panels = 3;
    status = draw_picture(&sheet->picture[ALTERED], a, model, 1, err);
    return status ? status : draw_change(sheet, a, white, err);
}

/* Below the pictures; beside the image where there is no change to show. */
static enum sal_status draw_plot(struct sal_sheet *sheet, const struct sal_writing *writing,
                                 unsigned white, struct sal_error *err)
{
    const struct sal_probed *probed = writing->held->probed;
    enum sal_probe_plot_kind kind =
        sal_probe_plot_next(&probed->answer, (enum sal_probe_plot_kind)0);
    struct sal_figure *figure = &sheet->figure;
    if (kind == SAL_PROBE_PLOTS) {
        if (figure->n_panels == 1) /* a letter would ask for another */
            figure->panel[IMAGE].label = NULL;
        return SAL_OK;
    }
    enum sal_status status =
        sal_probe_plot_of(&probed->answer, kind, writing->session->model,
                          probed->ask.class_index, white, &sheet->plot, err);
    if (status)
        return status;
    figure->panel[figure->n_panels] =
        (struct sal_figure_panel){.plot = &sheet->plot.plot,
                                  .label = sheet->plot.plot.title,
                                  .new_row = figure->n_panels > 1};
    figure->n_panels++;
    return SAL_OK;
}

enum sal_status sal_sheet_fill_probe(struct sal_sheet *sheet, const struct sal_writing *writing,
                                     struct sal_error *err)
{
    const struct sal_probed *probed = writing->held->probed;
    const unsigned white = writing->held->loaded->image.max;
    enum sal_status status = draw_pictures(sheet, writing, white, err);
    say_decision(sheet, writing->session->model, probed);
    say_maps(sheet, probed);
    if (!status)
        status = sal_sheet_add_maps(sheet, writing, &sheet->picture[IMAGE],
                                    &sheet->picture[ALTERED], err);
    say_sizes(sheet, &probed->answer, white);
    say_probe(sheet, writing);
    sal_sheet_say_origin(sheet, writing);
    say_limits(sheet, probed);
    sheet->figure.title = sheet->title;
    return status ? status : draw_plot(sheet, writing, white, err);
}
