/* Projected gradient descent, and its one step of full size (FGSM). Every point that is
 * passed counts, not only the last; the first start is the picture itself, whose FGSM point
 * is looked at too, so that PGD never does worse than FGSM. Others return the last iterate
 * (Foolbox, torchattacks). All starts go through the model together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

static void keep_ball(struct sal_search *s)
{
    sal_search_aim(s, (struct sal_ball){(enum sal_norm)sal_search_param(s, "norm"),
                                        sal_search_param(s, "eps")});
    s->answer->eps = s->ball.eps;
}

/* ---- FGSM --------------------------------------------------------------------------------- */

/* The point of one step of full size down gradient g, in box and ball. */
static void full_step(const struct sal_search *s, struct sal_ball ball, const float *g,
                      float *p)
{
    memcpy(p, s->space.p0, (size_t)s->space.n * sizeof(*p));
    sal_step_down(ball.norm, g, ball.eps, p, s->space.n);
    sal_space_project(&s->space, ball, p);
}

enum sal_status sal_fgsm(struct sal_search *s, enum sal_loss loss, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    float *g = sal_search_vector(s, &status, err), *p = sal_search_vector(s, &status, err);
    struct sal_look here = {.p = s->space.p0, .gradient = g, .loss = loss};
    if (!status)
        status = sal_search_look(s, &here, 1, err);
    if (!status) {
        full_step(s, s->ball, g, p);
        status = sal_search_look(s, &(struct sal_look){.p = p}, 1, err);
    }
    free(g);
    free(p);
    return status;
}

static enum sal_status run_fgsm(struct sal_search *s, struct sal_error *err)
{
    keep_ball(s);
    sal_search_expect(s, 3);
    return sal_fgsm(s, (enum sal_loss)sal_search_param(s, "loss"), err);
}

/* ---- PGD ------------------------------------------------------------------------------------ */

struct way {
    float *p, *g;       /* [starts][n] */
    float *low, *high;  /* of linf [balls][n], what each ball leaves of the box; else NULL */
    float *spare;       /* [n] */
    struct sal_look *looks;
};

static struct sal_ball ball_of(const struct sal_search *s, const struct sal_pgd *how, int r)
{
    struct sal_ball ball = s->ball;
    ball.eps = how->eps ? how->eps[r] : ball.eps;
    return ball;
}

/* Where the starts' balls differ, each has bounds of its own. */
static int balls_of(const struct sal_pgd *how)
{
    return how->eps ? how->starts : 1;
}

static void begin(struct sal_search *s, const struct sal_pgd *how, const struct way *way)
{
    const int64_t n = s->space.n;
    for (int k = 0; way->low && k < balls_of(how); k++)
        sal_space_bounds(&s->space, ball_of(s, how, k).eps, way->low + k * n,
                         way->high + k * n);
    for (int r = 0; r < how->starts; r++) {
        const float *from = r == 0 && how->from ? how->from : s->space.p0;
        memcpy(way->p + r * n, from, (size_t)n * sizeof(float));
        if (r > 0 && !how->eps)
            sal_step_random(s, s->ball, true, sal_stream_key(s, SAL_STREAM_PGD, (uint64_t)r),
                            way->p + r * n);
        sal_space_project(&s->space, ball_of(s, how, r), way->p + r * n);
        if (how->lowest)
            how->lowest[r] = INFINITY;
    }
}

static void put_lowest(const struct sal_pgd *how, int r, double margin)
{
    if (how->lowest && margin < how->lowest[r])
        how->lowest[r] = margin;
}

static enum sal_status look(struct sal_search *s, const struct sal_pgd *how,
                            const struct way *way, bool last, struct sal_error *err)
{
    for (int r = 0; r < how->starts; r++)
        way->looks[r] = (struct sal_look){.p = way->p + r * s->space.n,
                                          .gradient = last ? NULL : way->g + r * s->space.n,
                                          .loss = how->loss};
    enum sal_status status = sal_search_look(s, way->looks, how->starts, err);
    for (int r = 0; r < how->starts && !status; r++)
        put_lowest(how, r, way->looks[r].margin);
    return status;
}

/* The FGSM points, once the gradient at the picture is known. */
static enum sal_status look_fgsm(struct sal_search *s, const struct sal_pgd *how,
                                 const struct way *way, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    for (int r = 0; r < (how->eps ? how->starts : 1) && !status; r++) {
        struct sal_look look = {.p = way->spare};
        full_step(s, ball_of(s, how, r), way->g + r * s->space.n, way->spare);
        status = sal_search_look(s, &look, 1, err);
        put_lowest(how, r, status ? (double)INFINITY : look.margin);
    }
    return status;
}

static void step(struct sal_search *s, const struct sal_pgd *how, const struct way *way, int r)
{
    const int64_t n = s->space.n;
    struct sal_ball ball = ball_of(s, how, r);
    double size = how->step > 0 ? how->step : 2.5 * ball.eps / how->steps;
    if (way->low) {
        const int64_t at = how->eps ? r * n : 0;
        sal_step_within(way->g + r * n, size, way->low + at, way->high + at, way->p + r * n, n);
        return;
    }
    sal_step_down(ball.norm, way->g + r * n, size, way->p + r * n, n);
    sal_space_project(&s->space, ball, way->p + r * n);
}

static enum sal_status descend(struct sal_search *s, const struct sal_pgd *how,
                               const struct way *way, struct sal_error *err)
{
    enum sal_status status = look(s, how, way, false, err);
    if (!status && !how->from)
        status = look_fgsm(s, how, way, err);
    for (int k = 1; k <= how->steps && !status; k++) {
        if (how->stop && sal_search_found(s))
            return SAL_OK;
        for (int r = 0; r < how->starts; r++)
            step(s, how, way, r);
        status = look(s, how, way, k == how->steps, err);
    }
    return status;
}

enum sal_status sal_pgd(struct sal_search *s, const struct sal_pgd *how, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    const size_t n = (size_t)s->space.n, all = (size_t)how->starts * n;
    const size_t balls = s->ball.norm == SAL_LINF ? (size_t)balls_of(how) : 0;
    struct way way = {.p = calloc(all, sizeof(float)),
                      .g = calloc(all, sizeof(float)),
                      .low = balls ? calloc(2 * balls * n, sizeof(float)) : NULL,
                      .spare = sal_search_vector(s, &status, err),
                      .looks = calloc((size_t)how->starts, sizeof(struct sal_look))};
    way.high = way.low ? way.low + balls * n : NULL;
    if (!status && (!way.p || !way.g || !way.looks || (balls && !way.low)))
        status = sal_fail(err, SAL_LIMIT, "no memory for %d starts", how->starts);
    if (!status) {
        begin(s, how, &way);
        status = descend(s, how, &way, err);
    }
    free(way.p);
    free(way.g);
    free(way.low);
    free(way.spare);
    free(way.looks);
    return status;
}

static enum sal_status run_pgd(struct sal_search *s, struct sal_error *err)
{
    keep_ball(s);
    struct sal_pgd how = {.steps = (int)sal_search_param(s, "steps"),
                          .starts = (int)sal_search_param(s, "restarts"),
                          .step = sal_search_param(s, "step"),
                          .loss = (enum sal_loss)sal_search_param(s, "loss")};
    sal_search_expect(s, (2L * how.steps + 1) * how.starts + 1);
    return sal_pgd(s, &how, err);
}

/* ---- rows -------------------------------------------------------------------------------------- */

static const struct sal_param fgsm_params[] = {
    SAL_PARAM_EPS, SAL_PARAM_NORM, SAL_PARAM_GOAL, SAL_PARAM_LOSS,
    SAL_PARAM_CONTROL, {0}};

static const struct sal_param pgd_params[] = {
    SAL_PARAM_EPS,
    SAL_PARAM_COUNT("steps", 40, 1, 100000, "steps of each start"),
    {.name = "step",
     .type = SAL_PARAM_REAL,
     .fallback = 0,
     .min = 0,
     .max = 1e4,
     .unit = "",
     .help = "size of a step in unit intensity; 0: 2.5 eps / steps"},
    SAL_PARAM_NORM,
    SAL_PARAM_COUNT("restarts", 1, 1, 256,
                    "starts: the picture itself, then random points of the ball"),
    SAL_PARAM_GOAL,
    SAL_PARAM_LOSS,
    SAL_PARAM_CONTROL,
    {0}};

const struct sal_probe sal_probe_fgsm = {
    .name = "fgsm",
    .title = "Fast gradient sign method",
    .formula = "p0 - eps sign(d loss / d p), within the image's range",
    .paper = "Goodfellow et al., ICLR 2015, arXiv:1412.6572",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK,
    .params = fgsm_params,
    .run = run_fgsm,
};

const struct sal_probe sal_probe_pgd = {
    .name = "pgd",
    .title = "Projected gradient descent",
    .formula = "p <- project(p - step sign(d loss / d p)) onto ball and range; best of all p",
    .paper = "Madry et al., ICLR 2018, arXiv:1706.06083",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK | SAL_PROBE_DRAWS,
    .params = pgd_params,
    .run = run_pgd,
};
