/* An attack on the explanation: the decision is to hold while the top of the input-gradient
 * map, h = |d logit / d p|, goes elsewhere (Ghorbani et al.). What is made small is the share L
 * of the map's sum that lies in the top T of the map as given. Its slope needs second
 * derivatives, of which only one product with a vector: dL / dp = H v / sum h with
 * v = sign(d logit / d p) (1_T - L), and H v is the difference of two gradients, at p + eta v and
 * p - eta v. Grey levels apart, they see the kinks of a ReLU, whose second derivative is zero
 * otherwise; the published attack puts a softplus in its place, and needs a framework.
 *
 * Colours are summed before magnitudes are taken, as the method `gradient` does. Each step
 * is made up for along the gradient of f, or of the odds of p, so that to first order these
 * stay; points at which the decision or the score has left what is allowed do not count. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"
#include "saliscope/top.h"

enum criterion { SHARE, SUM };
static const char *const criterion_names[] = {"share", "sum", NULL};

/* The map at a point: its gradient with colours summed, and how it stands to the first. */
struct seen {
    double overlap, share; /* of both tops; L */
    double score;
    bool holds;
};

struct chase {
    struct sal_search *search;
    double eps, step, eta, drift;
    enum criterion criterion;
    float *p, *g;         /* the point, and the gradient there, [n] */
    enum sal_loss loss;   /* whose slope tells that of what is kept */
    float *back;          /* the gradient of what is kept, [n] */
    float *v;             /* a direction, then its product with the Hessian, [n] */
    float *first, *h;     /* maps, [pixels] of the n */
    float *room;          /* [4 n] */
    struct sal_top top;   /* of the first */
    sal_real *start;      /* [classes]: one for the class */
    sal_real *logits;     /* [classes] */
    bool maps_only;       /* the search is over */
    int lost;             /* steps since the decision was held */
    double best[2];       /* overlap and share of what is kept */
    double *at[3];        /* series by step: overlap, the same of what is kept, score */
};

/* ---- the map ------------------------------------------------------------------------------- */

static double slope_at(const struct sal_search *s, const float *g, int64_t i)
{
    double sum = 0;
    for (int k = 0; k < s->space.planes; k++)
        sum += (double)g[k * s->space.pixels + i];
    return sum;
}

static void put_map(const struct sal_search *s, const float *g, float *h)
{
    for (int64_t i = 0; i < s->space.pixels; i++)
        h[i] = (float)fabs(slope_at(s, g, i));
}

/* Compares the map of gradient g with the first. A map that is zero everywhere is none that
 * another explanation could be: all of the top counts as left. */
static void compare(struct chase *c, const float *g, float *h, struct seen *seen)
{
    const struct sal_search *s = c->search;
    double in = 0, all = 0;
    put_map(s, g, h);
    for (int64_t i = 0; i < s->space.pixels; i++) {
        in += sal_top_part(&c->top, c->first[i]) * (double)h[i];
        all += (double)h[i];
    }
    struct sal_top top = sal_top_find(h, s->space.pixels, c->top.k);
    double overlap = sal_top_overlap(c->first, &c->top, h, &top, s->space.pixels);
    seen->overlap = all > 0 ? overlap : 1;
    seen->share = all > 0 ? in / all : 1;
}

/* What steps keep: log (p / (1 - p)) of the class, which moves evenly where p does not; f where
 * there is no p, and of labels, where both are the logit but for a constant. */
static double kept_value(const struct chase *c, const sal_real *logits)
{
    const struct sal_decision *d = &c->search->decision;
    double top = -INFINITY, sum = 0;
    if (c->loss == SAL_LOSS_MARGIN)
        return sal_decision_f(d, logits);
    for (int i = 0; i < d->n; i++)
        top = i == d->c ? top : fmax(top, (double)logits[i]);
    for (int i = 0; i < d->n; i++)
        sum += i == d->c ? 0 : exp(((double)logits[i] - top) / d->temperature);
    return ((double)logits[d->c] - top) / d->temperature - log(sum);
}

/* Its slope, which is had as that of a loss: f's, or that of log p, over 1 - p. */
static void put_back(struct chase *c)
{
    const struct sal_decision *d = &c->search->decision;
    double scale = d->create ? -1 : 1;
    if (c->loss == SAL_LOSS_CE)
        scale *= 1 + exp(kept_value(c, c->logits));
    for (int64_t i = 0; i < c->search->space.n; i++)
        c->back[i] = (float)(d->labels ? (double)c->g[i] : (double)c->back[i] * scale);
}

static enum sal_status look(struct chase *c, struct seen *seen, struct sal_error *err)
{
    struct sal_search *s = c->search;
    struct sal_look looks[2] = {
        {.p = c->p, .gradient = c->g, .slope = c->start, .logits = c->logits, .whole = true,
         .aside = c->maps_only},
        {.p = c->p, .gradient = c->back, .loss = c->loss}};
    const int n = c->maps_only || s->decision.labels ? 1 : 2;
    enum sal_status status = sal_search_look(s, looks, n, err);
    if (status)
        return status;
    if (!c->maps_only)
        put_back(c);
    /* a little inside, since a forward by itself may round otherwise */
    seen->holds = sal_search_holds(s, c->logits, c->drift * 0.999);
    seen->score = sal_search_score(s, c->logits);
    if (c->top.k)
        compare(c, c->g, c->h, seen);
    return SAL_OK;
}

/* ---- a step ---------------------------------------------------------------------------------- */

enum sal_status sal_hessian_product(struct sal_search *s, const float *p, const float *v,
                                    double eta, const sal_real *of, float *room, float *out,
                                    struct sal_error *err)
{
    const int64_t n = s->space.n;
    struct sal_look looks[2] = {{0}};
    for (int side = 0; side < 2; side++) {
        float *at = room + side * n, *gradient = room + (2 + side) * n;
        double step = side ? -eta : eta;
        for (int64_t i = 0; i < n; i++)
            at[i] = (float)((double)p[i] + step * (double)v[i]);
        looks[side] = (struct sal_look){.p = at, .gradient = gradient, .slope = of,
                                        .aside = true};
    }
    enum sal_status status = sal_search_look(s, looks, 2, err);
    for (int64_t i = 0; i < n && !status; i++)
        out[i] = (float)(((double)room[2 * n + i] - (double)room[3 * n + i]) / (2 * eta));
    return status;
}

/* The direction whose product with the Hessian is the slope of the criterion, but for a
 * factor: of magnitude up to 1, on all planes alike. */
static void put_direction(struct chase *c, const struct seen *seen)
{
    const struct sal_search *s = c->search;
    const double share = c->criterion == SHARE ? seen->share : 0;
    for (int64_t i = 0; i < s->space.pixels; i++) {
        double slope = slope_at(s, c->g, i), sign = (slope > 0) - (slope < 0);
        float v = (float)(sign * (sal_top_part(&c->top, c->first[i]) - share));
        for (int k = 0; k < s->space.planes; k++)
            c->v[k * s->space.pixels + i] = v;
    }
}

/* Down the slope of L, where something may be altered; *along: what that does to what is
 * kept, to first order. */
static void go_on(struct chase *c, double *along)
{
    const struct sal_search *s = c->search;
    float *before = c->room;
    memcpy(before, c->p, (size_t)s->space.n * sizeof(*before));
    sal_step_down(SAL_LINF, c->v, c->step, c->p, s->space.n);
    sal_space_project(&s->space, s->ball, c->p);
    for (int64_t i = 0; i < s->space.n; i++)
        *along += (double)c->back[i] * ((double)c->p[i] - (double)before[i]);
}

/* What is kept to where it was, to first order, by the smallest change of all pixels. */
static void go_back(struct chase *c, double along)
{
    struct sal_search *s = c->search;
    double moved = kept_value(c, c->logits) - kept_value(c, s->answer->before);
    double size = (moved + along) / sal_vector_dual(SAL_LINF, c->back, s->space.n);
    if (!isfinite(size))
        return;
    sal_step_down(SAL_LINF, c->back, fmax(-c->step, fmin(c->step, size)), c->p, s->space.n);
    sal_space_project(&s->space, s->ball, c->p);
}

/* From a point that does not hold the decision it only goes back; where that fails, to the
 * best that does, from where steps are shorter. */
static enum sal_status step(struct chase *c, const struct seen *seen, struct sal_error *err)
{
    enum { ONLY_BACK = 2 };
    const struct sal_search *s = c->search;
    double along = 0;
    c->lost = seen->holds ? 0 : c->lost + 1;
    if (c->lost > ONLY_BACK) {
        const float *safe = s->kept ? s->kept : s->space.p0;
        memcpy(c->p, safe, (size_t)s->space.n * sizeof(*c->p));
        c->step /= 2;
        return SAL_OK;
    }
    if (seen->holds) {
        put_direction(c, seen);
        enum sal_status status = sal_hessian_product(c->search, c->p, c->v, c->eta, c->start,
                                                     c->room, c->v, err);
        if (status)
            return status;
        go_on(c, &along);
    }
    go_back(c, along);
    return SAL_OK;
}

static enum sal_status keep(struct chase *c, const struct seen *seen, struct sal_error *err)
{
    struct sal_search *s = c->search;
    bool better = seen->overlap < c->best[0] ||
                  (seen->overlap == c->best[0] && seen->overlap < 1 && seen->share < c->best[1]);
    if (!seen->holds || !better)
        return SAL_OK;
    enum sal_status status = SAL_OK;
    if (!s->kept)
        s->kept = sal_search_vector(s, &status, err);
    if (status)
        return status;
    memcpy(s->kept, c->p, (size_t)s->space.n * sizeof(*c->p));
    c->best[0] = seen->overlap;
    c->best[1] = seen->share;
    s->answer->displaced.overlap = seen->overlap;
    return SAL_OK;
}

static enum sal_status chase(struct chase *c, int steps, int *done, struct sal_error *err)
{
    struct seen seen = {0};
    enum sal_status status = SAL_OK;
    for (*done = 0; *done <= steps && !status; ++*done) {
        status = look(c, &seen, err);
        if (!status)
            status = keep(c, &seen, err);
        if (status)
            break;
        c->at[0][*done] = seen.overlap;
        c->at[1][*done] = c->best[0];
        c->at[2][*done] = seen.score;
        if (*done < steps)
            status = step(c, &seen, err);
    }
    return status;
}

/* What a file of the image's own levels keeps of what was found. */
static enum sal_status look_stored(struct chase *c, struct sal_error *err)
{
    struct sal_search *s = c->search;
    const double white = s->question->white ? s->question->white : 255;
    struct seen seen = {0};
    if (!s->kept)
        return SAL_OK;
    for (int64_t i = 0; i < s->space.n; i++)
        c->p[i] = (float)(round((double)s->kept[i] * white) / white);
    enum sal_status status = look(c, &seen, err);
    s->answer->displaced.stored = status ? (double)NAN : seen.overlap;
    s->answer->displaced.stored_holds = seen.holds;
    return status;
}

/* ---- the control ---------------------------------------------------------------------------------- */

/* Random signs of the same norm, those of sal_probe_noised. */
static enum sal_status compare_noise(struct chase *c, int draws, struct sal_error *err)
{
    struct sal_search *s = c->search;
    struct sal_displaced *out = &s->answer->displaced;
    double *overlaps = calloc((size_t)draws + 1, sizeof(*overlaps)), sum = 0;
    if (!overlaps)
        return sal_fail(err, SAL_LIMIT, "no memory for noise");
    enum sal_status status = SAL_OK;
    for (int i = 0; i < draws && !status; i++) {
        struct seen seen = {0};
        sal_step_random(s, s->ball, false, sal_stream_key(s, SAL_STREAM_MAPS, (uint64_t)i),
                        c->p);
        status = look(c, &seen, err);
        if (status)
            break;
        out->held += seen.holds;
        sum += overlaps[out->draws++] = seen.overlap;
    }
    if (out->draws) {
        out->noise = sum / out->draws;
        sal_spread(overlaps, out->draws, &out->noise_low, &out->noise_high);
    }
    free(overlaps);
    return status;
}

/* ---- the probe ------------------------------------------------------------------------------------ */

static enum sal_status put_series(struct chase *c, int n, struct sal_error *err)
{
    static const char *const names[][2] = {
        {"overlap", "overlap of the top, by step"},
        {"overlap_held", "lowest overlap with the decision held, by step"},
        {"score", "score, by step"}};
    enum sal_status status = SAL_OK;
    double *steps = calloc((size_t)n + 1, sizeof(*steps));
    if (!steps)
        return sal_fail(err, SAL_LIMIT, "no memory for a curve");
    for (int i = 0; i < n; i++)
        steps[i] = i;
    for (int k = 0; k < 3 && !status; k++)
        status = sal_search_series(c->search, names[k][0], names[k][1], n, steps, c->at[k], err);
    free(steps);
    return status;
}

static void tell(struct chase *c)
{
    struct sal_probe_answer *a = c->search->answer;
    if (c->search->kept)
        return;
    snprintf(a->note, sizeof(a->note),
             "no step that holds the decision moved the top of the map; that does not show that "
             "none does");
}

static enum sal_status attack(struct chase *c, int steps, int draws, struct sal_error *err)
{
    struct sal_search *s = c->search;
    const int64_t pixels = s->space.pixels;
    struct seen seen = {0};
    int done = 0;
    memcpy(c->p, s->space.p0, (size_t)s->space.n * sizeof(*c->p));
    enum sal_status status = look(c, &seen, err);
    if (status)
        return status;
    put_map(s, c->g, c->first);
    if (sal_vector_norm(SAL_LINF, c->first, pixels) == 0) {
        sal_search_light(s, "zero_gradient", "zero gradients", true, 1,
                         "the score does not move with the picture: there is no map to move");
        return SAL_OK;
    }
    c->top = sal_top_find(c->first, pixels,
                          sal_top_places(pixels, sal_search_param(s, "top")));
    s->answer->displaced.top = c->top.k;
    status = chase(c, c->eps > 0 ? steps : 0, &done, err);
    enum sal_status told = put_series(c, done, err);
    if (!status)
        status = told;
    c->maps_only = true;
    if (!status)
        status = look_stored(c, err);
    if (!status)
        status = compare_noise(c, draws, err);
    if (!status)
        tell(c);
    return status;
}

static void release(struct chase *c)
{
    free(c->p);
    free(c->room);
    free(c->start);
    free(c->at[0]);
}

static enum sal_status make_room(struct chase *c, int steps, struct sal_error *err)
{
    const size_t n = (size_t)c->search->space.n, many = (size_t)steps + 1;
    const size_t classes = (size_t)c->search->decision.n;
    c->p = calloc(6 * n, sizeof(*c->p));
    c->room = calloc(4 * n, sizeof(*c->room));
    c->start = calloc(2 * classes, sizeof(*c->start));
    c->at[0] = calloc(3 * many, sizeof(double));
    if (!c->p || !c->room || !c->start || !c->at[0])
        return sal_fail(err, SAL_LIMIT, "no memory for %d steps", steps);
    c->g = c->p + n;
    c->v = c->g + n;
    c->first = c->v + n;
    c->h = c->first + n;
    c->back = c->h + n;
    c->logits = c->start + classes;
    c->at[1] = c->at[0] + many;
    c->at[2] = c->at[1] + many;
    c->start[c->search->decision.c] = 1;
    return SAL_OK;
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    const int steps = (int)sal_search_param(s, "steps");
    const int draws = (int)sal_search_param(s, "draws");
    struct chase c = {.search = s,
                      .eps = sal_search_param(s, "eps"),
                      .step = sal_search_param(s, "step"),
                      .eta = sal_search_param(s, "eta"),
                      .drift = sal_search_param(s, "drift"),
                      .criterion = (enum criterion)sal_search_param(s, "criterion"),
                      .best = {1, INFINITY}};
    bool plain = sal_model_output(s->question->model)->activation != SAL_SOFTMAX;
    c.loss = plain ? SAL_LOSS_MARGIN : SAL_LOSS_CE;
    if (c.step <= 0)
        c.step = c.eps / 8;
    if (c.eta <= 0)
        c.eta = fmax(c.eps, 1.0 / 255);
    s->drift = c.drift;
    s->answer->eps = c.eps;
    sal_search_aim(s, (struct sal_ball){SAL_LINF, c.eps});
    sal_search_expect(s, (s->decision.labels ? 6L : 8L) * steps + 8 + 2L * draws);
    enum sal_status status = make_room(&c, steps, err);
    if (!status)
        status = attack(&c, steps, draws, err);
    release(&c);
    return status;
}

static const struct sal_param params[] = {
    SAL_PARAM_EPS,
    SAL_PARAM_COUNT("steps", 40, 1, 100000,
                    "of three passes each way; where classes exclude each other, four"),
    {.name = "step",
     .type = SAL_PARAM_REAL,
     .fallback = 0,
     .min = 0,
     .max = 1e4,
     .unit = "",
     .help = "size of a step in unit intensity; 0: eps / 8"},
    {.name = "top",
     .type = SAL_PARAM_REAL,
     .fallback = 0.05,
     .min = 1e-6,
     .max = 1,
     .unit = "",
     .help = "share of the pixels that are the top of the map"},
    {.name = "criterion",
     .type = SAL_PARAM_CHOICE,
     .fallback = SHARE,
     .unit = "",
     .choices = criterion_names,
     .help = "made small: the share of the map in its first top, or the sum of the map there"},
    {.name = "eta",
     .type = SAL_PARAM_REAL,
     .fallback = 0,
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "from how far away gradients are compared, in unit intensity; 0: eps, but at least "
             "1/255"},
    {.name = "drift",
     .type = SAL_PARAM_REAL,
     .fallback = 0.05,
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "that the class's probability may move by (without one, f, as a share of it)"},
    SAL_PARAM_COUNT("draws", 20, 0, 10000, "of noise of the same norm, to compare"),
    {0}};

const struct sal_probe sal_probe_explanation = {
    .name = "explanation",
    .title = "Another explanation of the same decision",
    .formula = "p <- project(p - step sign(H v)), v = sign(d logit / d p) (1_T - L); decision held",
    .paper = "Ghorbani et al., AAAI 2019, arXiv:1710.10547",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_HOLDS | SAL_PROBE_DRAWS,
    .params = params,
    .run = run,
};
