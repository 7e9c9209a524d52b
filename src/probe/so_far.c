/* What a search has found so far, for whoever looks on while it goes on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saliscope/clock.h"
#include "search.h"

static const double show_every = 0.3; /* seconds */

static void *copy(const void *data, size_t size)
{
    void *out = malloc(size ? size : 1);
    if (out && size)
        memcpy(out, data, size);
    return out;
}

static bool copy_series(struct sal_series *series)
{
    size_t size = (size_t)series->n * sizeof(*series->x);
    series->x = copy(series->x, size);
    series->y = copy(series->y, size);
    return series->x && series->y;
}

/* An answer of its own with room for all that it says; false: no memory. */
static bool copy_answer(const struct sal_search *s, struct sal_probe_answer *out)
{
    const struct sal_probe_answer *from = s->answer;
    const size_t pixels = (size_t)s->space.n * sizeof(float);
    const size_t logits = (size_t)from->n_logits * sizeof(*from->before);
    *out = *from;
    out->trials = NULL;
    out->n_trials = 0;
    out->x = malloc((size_t)sal_input_elements(s->question->model) * sizeof(*out->x));
    out->picture = malloc(pixels);
    out->change = malloc(pixels);
    out->before = copy(from->before, logits);
    out->after = copy(from->before, logits);
    bool there = out->x && out->picture && out->change && out->before && out->after;
    for (int i = 0; i < out->n_series; i++)
        there = copy_series(&out->series[i]) && there;
    return there;
}

static const float *best_of(const struct sal_search *s, bool flipped)
{
    if (flipped)
        return isfinite(s->ball.eps) ? s->deepest : s->closest;
    return s->kept ? s->kept : s->space.p0;
}

static void fill(const struct sal_search *s, struct sal_probe_answer *out)
{
    out->partial = true;
    out->flipped = out->sought == SAL_SEEK_FLIP && sal_search_found(s);
    out->found = out->flipped || s->kept;
    out->norm = s->ball.norm;
    out->best_margin = s->best;
    const float *p = best_of(s, out->flipped);
    sal_space_input(&s->space, p, out->x);
    sal_space_picture(&s->space, p, out->picture, out->change);
    out->distance = sal_space_distance(&s->space, p);
    snprintf(out->note, sizeof(out->note), "after %ld passes, the best so far",
             out->forwards + out->backwards);
}

void sal_search_show(struct sal_search *s)
{
    const struct sal_probe_question *question = s->question;
    struct sal_probe_answer so_far;
    if (!question->show || !s->trail || s->trail->n == s->shown)
        return;
    double begin = sal_seconds();
    if (begin < s->show_due)
        return;
    s->shown = s->trail->n;
    if (copy_answer(s, &so_far)) {
        fill(s, &so_far);
        question->show(question->audience, &so_far);
    }
    sal_probe_answer_release(&so_far);
    double end = sal_seconds();
    s->show_due = end + fmax(show_every, 10 * (end - begin));
}
