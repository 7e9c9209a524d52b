/* Test-time augmentation: what the model says of the same patient a little turned, moved,
 * enlarged, developed otherwise. Nothing here changes what a reader would report, so whatever
 * changes is the model's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corruption.h"
#include "saliscope/random.h"

/* ---- transforms of its own ------------------------------------------------------- */

static enum sal_status alter_mirror(const struct sal_canvas *canvas,
                                    const struct sal_alteration *how, const float *from,
                                    float *to, struct sal_error *err)
{
    (void)how;
    (void)err;
    const int w = canvas->width;
    for (int64_t row = 0; row < (int64_t)canvas->planes * canvas->height; row++)
        for (int x = 0; x < w; x++)
            to[row * w + x] = from[row * w + w - 1 - x];
    return SAL_OK;
}

static const struct sal_corruption mirror = {.probe = {.name = "mirror"}, .alter = alter_mirror};

static double between(uint64_t key, uint64_t i, double low, double high)
{
    return low + (high - low) * sal_random_uniform(key, i);
}

/* All of the others at once, each anywhere within its range. */
static enum sal_status alter_mixed(const struct sal_canvas *canvas,
                                   const struct sal_alteration *how, const float *from, float *to,
                                   struct sal_error *err)
{
    const struct sal_place place = {.degrees = between(how->key, 0, -5, 5),
                                    .zoom = between(how->key, 1, 0.95, 1.05),
                                    .right = between(how->key, 2, -0.02, 0.02),
                                    .down = between(how->key, 3, -0.02, 0.02)};
    const double width = between(how->key, 4, 0.9, 1.1), gamma = between(how->key, 5, 0.9, 1.1);
    size_t n = (size_t)canvas->planes * canvas->height * canvas->width;
    float *room = calloc(n, sizeof(*room));
    if (!room)
        return sal_fail(err, SAL_LIMIT, "no memory for a picture");
    sal_canvas_place(canvas, place, from, to);
    sal_canvas_power(canvas, gamma, to, room);
    sal_canvas_linear(canvas, 1 / width, 0.5 - 0.5 / width, room, to);
    free(room);
    return SAL_OK;
}

static const struct sal_corruption mixed = {.probe = {.name = "mixed"}, .alter = alter_mixed};

/* ---- the list -------------------------------------------------------------------- */

static const struct transform {
    const struct sal_corruption *kind;
    const char *title;
    double setting;
    const char *unit;
    int axis;
} transforms[] = {
    {&sal_corruption_rotate, "rotate 5 degrees left", 5, "degrees", 0},
    {&sal_corruption_rotate, "rotate 5 degrees right", -5, "degrees", 0},
    {&sal_corruption_shift, "shift 2 % right", 0.02, "of the side", 0},
    {&sal_corruption_shift, "shift 2 % left", -0.02, "of the side", 0},
    {&sal_corruption_shift, "shift 2 % down", 0.02, "of the side", 1},
    {&sal_corruption_shift, "shift 2 % up", -0.02, "of the side", 1},
    {&sal_corruption_scale, "scale 5 % larger", 1.05, "", 0},
    {&sal_corruption_scale, "scale 5 % smaller", 0.95, "", 0},
    {&sal_corruption_gamma, "gamma 0.9", 0.9, "", 0},
    {&sal_corruption_gamma, "gamma 1.1", 1.1, "", 0},
    {&sal_corruption_window, "window 10 % narrower", 0.9, "of the range", 0},
    {&sal_corruption_window, "window 10 % wider", 1.1, "of the range", 0},
    {&mirror, "mirrored left to right", NAN, "", 0}, /* the last, taken where asked for */
};
enum { TRANSFORMS = sizeof(transforms) / sizeof(*transforms) };

static const int draws_of[] = {20, 200, 1000}; /* by effort */

struct augmentation {
    struct sal_search *search;
    int n, named; /* pictures, and how many of them are of the list; the rest are mixed */
    struct sal_attempt *attempts; /* [n] */
    double *probabilities;        /* [n][classes] */
};

static enum sal_status plan(struct augmentation *t, struct sal_error *err)
{
    struct sal_search *s = t->search;
    int draws = (int)sal_search_param(s, "draws");
    draws = draws ? draws : draws_of[(int)sal_search_param(s, "effort")];
    t->named = TRANSFORMS - (sal_search_param(s, "mirror") ? 0 : 1);
    t->n = t->named + draws;
    t->attempts = calloc((size_t)t->n, sizeof(*t->attempts));
    t->probabilities = calloc((size_t)t->n * (size_t)s->decision.n, sizeof(double));
    if (!t->attempts || !t->probabilities)
        return sal_fail(err, SAL_LIMIT, "no memory for %d pictures", t->n);
    for (int i = 0; i < t->n; i++) {
        const struct transform *transform = i < t->named ? &transforms[i] : NULL;
        t->attempts[i] = (struct sal_attempt){
            .kind = transform ? transform->kind : &mixed,
            .how = {.setting = transform ? transform->setting : (double)NAN,
                    .axis = transform ? transform->axis : 0,
                    .key = sal_stream_key(s, SAL_STREAM_TTA, (uint64_t)i)},
            .probabilities = t->probabilities + (int64_t)i * s->decision.n};
    }
    return SAL_OK;
}

/* The named ones by themselves, those that were drawn together. */
static enum sal_status put_trials(const struct augmentation *t, int seen, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    struct sal_trial all = {.name = mixed.probe.name, .setting = (double)NAN, .unit = ""};
    for (int i = 0; i < seen && !status; i++) {
        const struct sal_attempt *attempt = &t->attempts[i];
        if (i >= t->named) {
            all.score += attempt->score;
            all.f += attempt->f;
            all.draws++;
            all.flips += attempt->reached;
            all.distance = attempt->distance;
            continue;
        }
        struct sal_trial trial = {.name = attempt->kind->probe.name,
                                  .setting = transforms[i].setting,
                                  .unit = transforms[i].unit,
                                  .score = attempt->score,
                                  .f = attempt->f,
                                  .draws = 1,
                                  .flips = attempt->reached,
                                  .distance = attempt->distance};
        snprintf(trial.title, sizeof(trial.title), "%s", transforms[i].title);
        status = sal_search_trial(t->search, &trial, err);
    }
    if (status || !all.draws)
        return status;
    all.score /= all.draws;
    all.f /= all.draws;
    snprintf(all.title, sizeof(all.title), "all at once, within these ranges");
    return sal_search_trial(t->search, &all, err);
}

/* ---- what they agree on ---------------------------------------------------------- */

static double plogp(double p)
{
    return p <= 0 ? 0 : -p * log(p);
}

/* In nats: of a label whether it is there, else of all classes; NAN where a score is no
 * probability. */
static double entropy(const struct sal_search *s, const double *p)
{
    const int c = s->decision.c;
    double sum = 0;
    if (s->decision.labels)
        return plogp(p[c]) + plogp(1 - p[c]);
    for (int i = 0; i < s->decision.n; i++)
        sum += plogp(p[i]);
    return sum;
}

static void put_entropies(const struct augmentation *t, double *mean)
{
    struct sal_search *s = t->search;
    const int classes = s->decision.n;
    double inner = 0;
    for (int i = 0; i < t->n; i++) {
        inner += entropy(s, t->attempts[i].probabilities) / t->n;
        for (int k = 0; k < classes; k++)
            mean[k] += t->attempts[i].probabilities[k] / t->n;
    }
    double outer = entropy(s, mean);
    if (isnan(outer) || isnan(inner))
        return;
    sal_search_fact(s, "entropy", "entropy of the mean", outer, "nats");
    sal_search_fact(s, "mutual_information", "mutual information", fmax(outer - inner, 0), "nats");
}

/* The one that takes f furthest from where it was, towards the other side. */
static int worst_of(const struct augmentation *t)
{
    int worst = 0;
    double sign = t->search->decision.create ? -1 : 1;
    for (int i = 1; i < t->n; i++)
        if (sign * t->attempts[i].f < sign * t->attempts[worst].f)
            worst = i;
    return worst;
}

static void put_facts(const struct augmentation *t)
{
    struct sal_search *s = t->search;
    double mean = 0, squares = 0;
    int agree = 0;
    for (int i = 0; i < t->n; i++) {
        mean += t->attempts[i].score / t->n;
        agree += !t->attempts[i].reached;
    }
    for (int i = 0; i < t->n; i++)
        squares += pow(t->attempts[i].score - mean, 2) / t->n;
    double sd = sqrt(squares);
    int worst = worst_of(t);
    sal_search_fact(s, "agreement", "decided as the picture is", 100.0 * agree / t->n, "%");
    sal_search_fact(s, "mean", "mean score", mean, "");
    sal_search_fact(s, "sd", "standard deviation of the score", sd, "");
    sal_search_fact(s, "vvc", "standard deviation over the mean (MONAI's vvc)",
                    mean != 0 ? sd / mean : (double)NAN, "");
    snprintf(s->answer->note, sizeof(s->answer->note),
             "%d of %d are decided as the picture is; furthest: %s, f %.4g", agree, t->n,
             worst < t->named ? transforms[worst].title : "one of those drawn",
             t->attempts[worst].f);
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    struct augmentation t = {.search = s};
    int seen = 0;
    sal_search_aim(s, (struct sal_ball){SAL_L2, INFINITY});
    double *mean = calloc((size_t)s->decision.n, sizeof(*mean));
    enum sal_status status =
        mean ? plan(&t, err) : sal_fail(err, SAL_LIMIT, "no memory for probabilities");
    if (!status) {
        sal_search_expect(s, t.n);
        status = sal_attempts_look(s, t.attempts, t.n, &seen, err);
    }
    if (!status || status == SAL_CANCELLED) {
        enum sal_status put = put_trials(&t, seen, err);
        status = put ? put : status;
    }
    if (!status) {
        put_facts(&t);
        put_entropies(&t, mean);
    }
    free(mean);
    free(t.attempts);
    free(t.probabilities);
    return status;
}

static const struct sal_param params[] = {
    {.name = "mirror",
     .type = SAL_PARAM_BOOL,
     .max = 1,
     .unit = "",
     .help = "the picture mirrored left to right too: no, where the side is information"},
    SAL_PARAM_COUNT("draws", 0, 0, 100000,
                    "of all transforms at once, at random; 0: by effort, 20, 200 or 1000"),
    SAL_PARAM_EFFORT("how often all of it is drawn: 20, 200 or 1000 times"),
    {0}};

const struct sal_probe sal_probe_tta = {
    .name = "tta",
    .title = "Test-time augmentation",
    .formula = "rotate +-5 degrees, shift +-2 %, scale +-5 %, gamma 0.9 and 1.1, window +-10 %, "
               "and all at once",
    .paper = "Wang et al., Neurocomputing 2019, arXiv:1807.07356; MONAI TestTimeAugmentation",
    .needs = SAL_PROBE_DRAWS,
    .params = params,
    .run = run,
};
