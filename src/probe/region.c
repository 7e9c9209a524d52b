/* What the decision is without a region, and with nothing but it; with it moved, or pasted
 * once more, as if it were a marker; without borders, without corners, with the centre alone.
 * How much removing a region does says little by itself: a hole is a change wherever it is.
 * So it stands beside holes of the same shape elsewhere. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"
#include "fill.h"
#include "places.h"

enum { TOGETHER = 8, ACTS_MAX = 24, FEW = 19 };

/* Which pixels are meant. */
enum shape { ROI, NOT_ROI, BORDER, CORNER, NOT_CENTRE };

/* remove: filled; move: filled, and put elsewhere; paste: put elsewhere. */
enum verb { REMOVE, MOVE, PASTE };

struct act {
    enum verb verb;
    enum shape shape;
    double percent; /* of borders, corners, the centre: of each side */
    int corner;     /* 1: right, 2: bottom, 3: both */
    int down, right; /* how far */
    bool shifted;   /* ROI is meant elsewhere, that far */
    uint64_t number; /* of its filling */
    struct sal_trial trial;
    double effect; /* margin that removing it takes */
};

struct scene {
    struct sal_search *s;
    int top, left, bottom, right; /* of what is shown */
    int64_t shown;                /* pixels */
    struct sal_fill fill;
    uint8_t *hole;    /* [pixels] */
    float *p;         /* [TOGETHER][n] */
    sal_real *logits; /* [TOGETHER][classes] */
    struct act acts[ACTS_MAX];
    int n_acts;
    int draws, below; /* random regions, and how many of them have less effect */
};

/* ---- pictures ------------------------------------------------------------------------------ */

static int part_of(double percent, int side)
{
    int part = (int)lround(percent / 100 * side);
    return part < 1 ? 1 : part;
}

static bool is_centre(const struct scene *v, double percent, int y, int x)
{
    int rows = part_of(percent, v->bottom - v->top), columns = part_of(percent, v->right - v->left);
    int top = v->top + (v->bottom - v->top - rows) / 2;
    int left = v->left + (v->right - v->left - columns) / 2;
    return y >= top && y < top + rows && x >= left && x < left + columns;
}

static bool covers(const struct scene *v, const struct act *act, int y, int x)
{
    const uint8_t *roi = v->s->question->roi;
    int width = v->s->space.input->width;
    int rows = part_of(act->percent, v->bottom - v->top);
    int columns = part_of(act->percent, v->right - v->left);
    bool up = y < v->top + rows, down = y >= v->bottom - rows;
    bool left = x < v->left + columns, right = x >= v->right - columns;
    switch (act->shape) {
    case ROI:
        return roi[(int64_t)y * width + x];
    case NOT_ROI:
        return !roi[(int64_t)y * width + x];
    case BORDER:
        return up || down || left || right;
    case CORNER:
        return (act->corner & 2 ? down : up) && (act->corner & 1 ? right : left);
    case NOT_CENTRE:
        break;
    }
    return !is_centre(v, act->percent, y, x);
}

/* The hole, where it is; the shape itself. */
static void put_hole(const struct scene *v, const struct act *act)
{
    const struct sal_model_input *input = v->s->space.input;
    const int64_t step = act->shifted ? (int64_t)act->down * input->width + act->right : 0;
    memset(v->hole, 0, (size_t)v->s->space.pixels);
    for (int y = v->top; y < v->bottom; y++)
        for (int x = v->left; x < v->right; x++)
            if (covers(v, act, y, x))
                v->hole[(int64_t)y * input->width + x + step] = 1;
}

/* The region's own pixels, put elsewhere. */
static void put_region(const struct scene *v, const struct act *act, float *p)
{
    const struct sal_space *space = &v->s->space;
    const int64_t step = (int64_t)act->down * space->input->width + act->right;
    for (int64_t i = 0; i < space->pixels; i++)
        for (int k = 0; k < space->planes && sal_space_is(v->s->question, SAL_INSIDE, i); k++)
            p[k * space->pixels + i + step] = space->p0[k * space->pixels + i];
}

static enum sal_status make_picture(const struct scene *v, const struct act *act, float *p,
                                    struct sal_error *err)
{
    const struct sal_space *space = &v->s->space;
    struct sal_fill fill = v->fill;
    enum sal_status status = SAL_OK;
    fill.key = sal_stream_key(v->s, SAL_STREAM_FILL, act->number);
    put_hole(v, act);
    if (act->verb == PASTE)
        memcpy(p, space->p0, (size_t)space->n * sizeof(*p));
    else
        status = sal_fill_hole(space, v->s->question->mask, v->hole, fill, p, err);
    if (!status && act->verb != REMOVE)
        put_region(v, act, p);
    sal_space_project(space, (struct sal_ball){SAL_LINF, INFINITY}, p);
    return status;
}

/* ---- looking ------------------------------------------------------------------------------- */

static void put_seen(const struct scene *v, struct act *act, const struct sal_look *look)
{
    struct sal_search *s = v->s;
    act->trial.draws = 1;
    act->trial.flips = look->reached;
    act->trial.score = sal_search_score(s, look->logits);
    act->trial.f = sal_decision_f(&s->decision, look->logits);
    act->trial.distance = sal_space_distance(&s->space, look->p);
    act->effect = s->margin0 - look->margin;
}

/* aside: none of them is told by itself, or the probe's answer */
static enum sal_status look_at(const struct scene *v, struct act *acts, int n, bool aside,
                               struct sal_error *err)
{
    struct sal_search *s = v->s;
    struct sal_look looks[TOGETHER];
    for (int done = 0; done < n; done += TOGETHER) {
        int now = n - done < TOGETHER ? n - done : TOGETHER;
        enum sal_status status = SAL_OK;
        for (int i = 0; i < now && !status; i++) {
            looks[i] = (struct sal_look){.p = v->p + i * s->space.n,
                                         .logits = v->logits + (int64_t)i * s->decision.n,
                                         .aside = aside};
            status = make_picture(v, &acts[done + i], v->p + i * s->space.n, err);
        }
        if (!status)
            status = sal_search_look(s, looks, now, err);
        if (status)
            return status;
        for (int i = 0; i < now && !status; i++) {
            put_seen(v, &acts[done + i], &looks[i]);
            if (!aside)
                status = sal_search_trial(s, &acts[done + i].trial, err);
        }
        if (status)
            return status;
    }
    return SAL_OK;
}

/* ---- what is tried ------------------------------------------------------------------------- */

static struct act *add(struct scene *v, enum verb verb, enum shape shape, double percent,
                       const char *name, const char *title)
{
    struct act *act = &v->acts[v->n_acts];
    *act = (struct act){.verb = verb, .shape = shape, .percent = percent};
    act->number = (uint64_t)v->n_acts++;
    act->trial = (struct sal_trial){.name = name, .setting = percent > 0 ? percent : (double)NAN,
                                    .unit = percent > 0 ? "%" : ""};
    snprintf(act->trial.title, sizeof(act->trial.title), "%s", title);
    return act;
}

static void add_shift(struct scene *v, int down, int right)
{
    static const char *const names[] = {"moved", "pasted"};
    for (int i = 0; i < 2 && (down || right); i++) {
        struct act *act = add(v, i ? PASTE : MOVE, ROI, 0, names[i], "");
        act->down = down;
        act->right = right;
        snprintf(act->trial.title, sizeof(act->trial.title),
                 i ? "region pasted %d,%d away" : "region moved by %d,%d", right,
                 down);
    }
}

/* The region's own box. */
static void measure_roi(const struct scene *v, int box[4])
{
    const int width = v->s->space.input->width;
    box[0] = box[1] = INT32_MAX;
    box[2] = box[3] = 0;
    for (int64_t i = 0; i < v->s->space.pixels; i++) {
        int y = (int)(i / width), x = (int)(i % width);
        if (!sal_space_is(v->s->question, SAL_INSIDE, i))
            continue;
        box[0] = y < box[0] ? y : box[0];
        box[1] = x < box[1] ? x : box[1];
        box[2] = y + 1;
        box[3] = x + 1 > box[3] ? x + 1 : box[3];
    }
}

/* To where it was mirrored, without mirroring it; and to where it was asked for. */
static enum sal_status add_roi(struct scene *v, struct sal_error *err)
{
    int box[4], right = (int)sal_search_param(v->s, "dx"), down = (int)sal_search_param(v->s, "dy");
    measure_roi(v, box);
    if (box[0] + down < v->top || box[2] + down > v->bottom || box[1] + right < v->left ||
        box[3] + right > v->right)
        return sal_fail(err, SAL_USAGE,
                        "moved by dx=%d dy=%d the region leaves the picture: dx may be %d to %d, "
                        "dy %d to %d", right, down, v->left - box[1], v->right - box[3],
                        v->top - box[0], v->bottom - box[2]);
    add(v, REMOVE, ROI, 0, "removed", "region removed");
    add(v, REMOVE, NOT_ROI, 0, "only", "all but the region removed");
    add_shift(v, down, right);
    int across = v->left + v->right - box[1] - box[3], over = v->top + v->bottom - box[0] - box[2];
    add_shift(v, 0, across);
    add_shift(v, over, 0);
    if (across && over)
        add_shift(v, over, across);
    return SAL_OK;
}

static void add_rest(struct scene *v)
{
    static const double borders[] = {2, 5, 10, 20};
    static const char *const corners[] = {"top left", "top right", "bottom left", "bottom right"};
    double corner = sal_search_param(v->s, "corner"), centre = sal_search_param(v->s, "centre");
    char title[80];
    for (size_t i = 0; i < sizeof(borders) / sizeof(*borders); i++) {
        snprintf(title, sizeof(title), "borders of %g %% removed", borders[i]);
        add(v, REMOVE, BORDER, borders[i], "border", title);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(title, sizeof(title), "%s corner of %g %% removed", corners[i], corner);
        add(v, REMOVE, CORNER, corner, "corner", title)->corner = i;
    }
    snprintf(title, sizeof(title), "all but the centre of %g %% removed", centre);
    add(v, REMOVE, NOT_CENTRE, centre, "centre", title);
}

/* ---- the control --------------------------------------------------------------------------- */

/* One trial of all draws, and how the region's effect stands among theirs. */
static enum sal_status tell_random(struct scene *v, const struct act *draws, int n,
                                   struct sal_error *err)
{
    const double effect = v->acts[0].effect;
    struct sal_trial sum = {.name = "random", .setting = (double)NAN, .unit = "", .draws = n};
    v->draws = n;
    for (int i = 0; i < n; i++) {
        sum.score += draws[i].trial.score / n;
        sum.f += draws[i].trial.f / n;
        sum.flips += draws[i].trial.flips;
        sum.distance = draws[i].trial.distance;
        v->below += draws[i].effect < effect;
    }
    snprintf(sum.title, sizeof(sum.title), "%d random regions removed", n);
    sal_search_fact(v->s, "random_draws", "random regions of its shape", n, "");
    if (!n)
        return SAL_OK;
    sal_search_fact(v->s, "random_below", "of them with less effect", v->below, "");
    sal_search_fact(v->s, "percentile", "percentile among them", 100.0 * v->below / n, "%");
    sal_search_fact(v->s, "p_value", "chance of such a place", (1.0 + n - v->below) / (1.0 + n),
                    "");
    return sal_search_trial(v->s, &sum, err);
}

static enum sal_status look_elsewhere(struct scene *v, struct sal_error *err)
{
    struct sal_search *s = v->s;
    const struct sal_model_input *input = s->space.input;
    struct sal_places places;
    enum sal_status status = sal_places_draw(
        &places, s->question->roi, s->question->mask, input->width, input->height,
        (int)sal_search_param(s, "draws"), sal_stream_key(s, SAL_STREAM_REGION, 0), err);
    if (status)
        return status;
    struct act *draws = calloc((size_t)places.n + 1, sizeof(*draws));
    if (!draws)
        status = sal_fail(err, SAL_LIMIT, "no memory for %d places", places.n);
    for (int i = 0; i < places.n && !status; i++)
        draws[i] = (struct act){.shape = ROI, .shifted = true, .down = places.shift[i][0],
                                .right = places.shift[i][1], .number = (uint64_t)(ACTS_MAX + i)};
    if (!status)
        status = look_at(v, draws, places.n, true, err);
    if (!status)
        status = tell_random(v, draws, places.n, err);
    if (!status)
        sal_search_light(s, "random_places", "room for random regions",
                         places.n < FEW || !places.beside, places.n, "%d were drawn%s%s",
                         places.n, places.all ? ", all there are" : "",
                         places.beside ? "" : ", which overlap the region by up to half");
    free(draws);
    sal_places_release(&places);
    return status;
}

/* ---- the probe ----------------------------------------------------------------------------- */

static void frame(struct scene *v)
{
    const struct sal_model_input *input = v->s->space.input;
    v->top = input->height;
    v->left = input->width;
    for (int y = 0; y < input->height; y++)
        for (int x = 0; x < input->width; x++) {
            if (!sal_space_is(v->s->question, SAL_EVERYWHERE, (int64_t)y * input->width + x))
                continue;
            v->shown++;
            v->top = y < v->top ? y : v->top;
            v->left = x < v->left ? x : v->left;
            v->bottom = y + 1;
            v->right = x + 1 > v->right ? x + 1 : v->right;
        }
}

static void tell(const struct scene *v)
{
    struct sal_probe_answer *a = v->s->answer;
    const struct act *most = NULL;
    for (int i = 0; i < v->n_acts; i++)
        if (2 * v->acts[i].trial.distance.changed <= v->shown &&
            (!most || v->acts[i].effect > most->effect))
            most = &v->acts[i];
    char among[100] = "";
    if (v->draws)
        snprintf(among, sizeof(among), "; removing the region has more effect than %d of %d random "
                 "regions", v->below, v->draws);
    if (!most || !(most->effect > 0))
        snprintf(a->note, sizeof(a->note), "nothing that leaves half of the picture weakens the "
                 "decision%s", among);
    else
        snprintf(a->note, sizeof(a->note), "of all that leaves half of the picture this has the "
                 "largest effect: %.60s, f %.4g to %.4g%s", most->trial.title, a->f_before,
                 most->trial.f, among);
}

static enum sal_status run_scene(struct scene *v, struct sal_error *err)
{
    struct sal_search *s = v->s;
    const bool given = s->question->roi != NULL;
    enum sal_status status = given ? add_roi(v, err) : SAL_OK;
    if (status)
        return status;
    add_rest(v);
    sal_search_expect(s, v->n_acts + (given ? (long)sal_search_param(s, "draws") : 0));
    status = look_at(v, v->acts, v->n_acts, false, err);
    if (status)
        return status;
    if (given) {
        sal_search_fact(s, "effect", "f towards a flip, by removing it", v->acts[0].effect, "");
        status = look_elsewhere(v, err);
    }
    tell(v);
    return status;
}

static double sigma_of(const struct sal_search *s)
{
    const struct sal_model_input *input = s->space.input;
    int side = input->width < input->height ? input->width : input->height;
    double sigma = sal_search_param(s, "sigma");
    return sigma > 0 ? sigma : side / 30.0;
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    struct scene v = {.s = s,
                      .fill = {.kind = (enum sal_fill_kind)sal_search_param(s, "fill"),
                               .sigma = sigma_of(s)},
                      .hole = calloc((size_t)s->space.pixels, 1),
                      .p = calloc((size_t)s->space.n * TOGETHER, sizeof(float)),
                      .logits = calloc((size_t)s->decision.n * TOGETHER, sizeof(sal_real))};
    enum sal_status status = SAL_OK;
    if (!v.hole || !v.p || !v.logits)
        status = sal_fail(err, SAL_LIMIT, "no memory for pictures");
    sal_search_aim(s, (struct sal_ball){SAL_L2, INFINITY});
    if (!status) {
        frame(&v);
        status = run_scene(&v, err);
    }
    free(v.hole);
    free(v.p);
    free(v.logits);
    return status;
}

static const struct sal_param params[] = {
    {.name = "fill",
     .type = SAL_PARAM_CHOICE,
     .fallback = SAL_FILL_BLUR,
     .unit = "",
     .choices = sal_fill_names,
     .help = "of what is removed: the mean of the rest, black, the rest blurred into it, noise"},
    {.name = "sigma",
     .type = SAL_PARAM_REAL,
     .fallback = 0,
     .min = 0,
     .max = 1000,
     .unit = "px",
     .help = "of fill=blur, in pixels of the model's input; 0: a thirtieth of its shorter side",
     .of = "fill",
     .when = "blur"},
    SAL_PARAM_COUNT("draws", 100, 0, 100000, "random regions of the region's shape"),
    SAL_PARAM_COUNT("dx", 0, -32768, 32768,
                    "to the right that the region is moved too, pixels of the input"),
    SAL_PARAM_COUNT("dy", 0, -32768, 32768, "down that the region is moved too"),
    {.name = "corner", .type = SAL_PARAM_REAL, .fallback = 20, .min = 1, .max = 50,
     .unit = "%", .help = "of each side that a corner takes"},
    {.name = "centre", .type = SAL_PARAM_REAL, .fallback = 50, .min = 1, .max = 99,
     .unit = "%", .help = "of each side that the centre takes"},
    {0}};

const struct sal_probe sal_probe_region = {
    .name = "region",
    .title = "A region, borders and corners removed",
    .formula = "f(p with a region filled) beside f(p); the region's among random regions",
    .paper = "occlusion of a region, with a permutation of its place",
    .needs = SAL_PROBE_DRAWS | SAL_PROBE_REGION,
    .params = params,
    .run = run,
};
