/*
 * For the files that implement attacks: their rows, the parameters that several have, and
 * what one attack uses of another.
 */
#ifndef SALISCOPE_PROBE_ATTACKS_H
#define SALISCOPE_PROBE_ATTACKS_H

#include "search.h"

/* One row per probe; the first is the default. */
#define SAL_PROBES(X) \
    X(mineps)         \
    X(fgsm)           \
    X(pgd)            \
    X(apgd)           \
    X(deepfool)       \
    X(ddn)            \
    X(fmn)            \
    X(square)         \
    X(noise)          \
    X(curve)          \
    X(shortcut)       \
    X(region)         \
    X(tta)            \
    X(corruptions)    \
    X(explanation)

#define X(name) extern const struct sal_probe sal_probe_##name;
SAL_PROBES(X)
#undef X

/* ---- parameters -------------------------------------------------------------------------- */

/* Every attack has a goal; sal_probe_run reads it. */
#define SAL_PARAM_GOAL                                                                   \
    {.name = "goal",                                                                     \
     .type = SAL_PARAM_CHOICE,                                                           \
     .fallback = SAL_GOAL_AUTO,                                                          \
     .unit = "",                                                                         \
     .choices = sal_goal_names,                                                          \
     .help = "hide the class, create it, or (auto) undo what is decided about it"}

#define SAL_PARAM_NORM                                                                   \
    {.name = "norm",                                                                     \
     .type = SAL_PARAM_CHOICE,                                                           \
     .fallback = SAL_LINF,                                                               \
     .unit = "",                                                                         \
     .choices = sal_norm_names,                                                          \
     .help = "the largest change of a pixel, or the root of the sum of squares"}

#define SAL_PARAM_EPS                                                                    \
    {.name = "eps",                                                                      \
     .type = SAL_PARAM_REAL,                                                             \
     .fallback = 2.0 / 255,                                                              \
     .min = 0,                                                                           \
     .max = 1e4,                                                                         \
     .unit = "",                                                                         \
     .help = "radius in unit intensity of the image; of l2 the length of the whole change"}

#define SAL_PARAM_COUNT(key, usual, least, most, text)                                   \
    {.name = key,                                                                        \
     .type = SAL_PARAM_INT,                                                              \
     .fallback = usual,                                                                  \
     .min = least,                                                                       \
     .max = most,                                                                        \
     .unit = "",                                                                         \
     .help = text}

#define SAL_PARAM_LOSS                                                                   \
    {.name = "loss",                                                                     \
     .type = SAL_PARAM_CHOICE,                                                           \
     .fallback = SAL_LOSS_MARGIN,                                                        \
     .unit = "",                                                                         \
     .choices = sal_loss_names,                                                          \
     .help = "margin: the logit less its threshold or the highest other; ce: "           \
             "cross-entropy, which saturates; dlr: margin over the spread of the logits"}

/* How much work: of about 150, 1000 or 6000 passes where a probe can make use of them. */
extern const char *const sal_effort_names[]; /* "quick" "standard" "thorough", NULL */

#define SAL_PARAM_EFFORT(text)                                                           \
    {.name = "effort",                                                                   \
     .type = SAL_PARAM_CHOICE,                                                           \
     .unit = "",                                                                         \
     .choices = sal_effort_names,                                                        \
     .help = text}

/* Run behind any attack; sal_probe_run reads it. */
#define SAL_PARAM_CONTROL                                                                \
    SAL_PARAM_COUNT("control", 20, 0, 100000, "draws of noise of the same norm, to compare")

#define SAL_PARAM_POLISH                                                                 \
    {.name = "polish",                                                                   \
     .type = SAL_PARAM_BOOL,                                                             \
     .fallback = 1,                                                                      \
     .max = 1,                                                                           \
     .unit = "",                                                                         \
     .help = "end with overshoot, steps along the boundary, and bisection"}

/* ---- steps ---------------------------------------------------------------------------------- */

/* Streams of random numbers under the question's seed, of each attack its own. */
enum sal_stream { SAL_STREAM_PGD = 1, SAL_STREAM_APGD, SAL_STREAM_DDN, SAL_STREAM_SQUARE,
                  SAL_STREAM_NOISE, SAL_STREAM_CURVE,
                  SAL_STREAM_CORRUPTION = 80, SAL_STREAM_TTA,
                  SAL_STREAM_REGION = 96, SAL_STREAM_FILL,
                  SAL_STREAM_MAPS = 128, SAL_STREAM_SENSITIVITY };
uint64_t sal_stream_key(const struct sal_search *search, enum sal_stream stream, uint64_t i);

/* p becomes p0 plus random numbers, in box and ball. Uniform: in the cube, or the surface of
 * the sphere; else of the ball's full norm: a random sign for each element, or a random
 * direction; as long as the box lets it be. */
void sal_step_random(const struct sal_search *search, struct sal_ball ball, bool uniform,
                     uint64_t key, float *p);

/* p -= size times the sign of g, or g over its length; nothing where g is zero. */
void sal_step_down(enum sal_norm norm, const float *g, double size, float *p, int64_t n);

/* The step down of linf and the projection that follows it, in one: into bounds of
 * sal_space_bounds. */
void sal_step_within(const float *g, double size, const float *low, const float *high, float *p,
                     int64_t n);

/* From first to last over steps, like a half-wave. */
double sal_step_cosine(double first, double last, int step, int steps);

/* ---- attacks on a search ------------------------------------------------------------------------ */

struct sal_pgd {
    int steps, starts; /* the first start is the picture, with the FGSM point; others random */
    double step;       /* 0: 2.5 eps / steps */
    enum sal_loss loss;
    bool stop; /* at the first that reaches the goal */
    const float *from; /* [n]: the first start instead, put into the ball; NULL: the picture */
    const double *eps; /* [starts], ascending, up to the ball's: all starts are the picture,
                          each in a ball of its own; NULL: all in the ball */
    double *lowest;    /* [starts]: the lowest margin of each; may be NULL */
};

/* Within search->ball. */
enum sal_status sal_fgsm(struct sal_search *search, enum sal_loss loss, struct sal_error *err);
enum sal_status sal_pgd(struct sal_search *search, const struct sal_pgd *how,
                        struct sal_error *err);

struct sal_apgd {
    int steps, starts;
    enum sal_loss loss;
    bool stop;
};

enum sal_status sal_apgd(struct sal_search *search, const struct sal_apgd *how,
                         struct sal_error *err);

/* After how many steps APGD looks back; length: since it did so last. */
struct sal_checkpoints {
    int next, length, least, fewer;
};
void sal_checkpoints_init(struct sal_checkpoints *checkpoints, int steps);
bool sal_checkpoints_pass(struct sal_checkpoints *checkpoints, int done, int *length);

/* Smallest change in search->ball.norm; last [n], where the way ended, may be NULL. */
enum sal_status sal_deepfool(struct sal_search *search, int steps, int classes,
                             double overshoot, float *last, struct sal_error *err);
enum sal_status sal_ddn(struct sal_search *search, int steps, double gamma, float *last,
                        struct sal_error *err);

struct sal_fmn {
    int steps;
    double alpha, gamma; /* first step and share, see sal_probe_fmn */
    bool sign;           /* of linf: steps of alpha radii down the sign of the gradient, where the
                            paper takes its direction in l2 */
    bool on;             /* from the closest flip instead of the picture */
};
enum sal_status sal_fmn(struct sal_search *search, const struct sal_fmn *how, float *last,
                        struct sal_error *err);

/* Gradient-free. */
enum sal_status sal_square(struct sal_search *search, int queries, double share, bool stop,
                           struct sal_error *err);

/* A bump over a dent, [side][side] of values; side 0: not made yet. */
struct sal_eta {
    int side;
    float *values; /* as many as the picture has pixels */
};
void sal_eta_init(struct sal_eta *eta, int side);

/* What Square tries in L2: first, from p0 in p; and instead of p at query i. Both end within
 * search->ball. */
void sal_square_l2_begin(const struct sal_search *search, struct sal_eta *eta, float *p);
void sal_square_l2_change(const struct sal_search *search, struct sal_eta *eta, int64_t i,
                          double share, float *p);

/* ---- minimum norms --------------------------------------------------------------------------------- */

/* The change to first order at the picture (sal_space_straight), into answer->estimate, and
 * what the gradient tells of itself, into lights. out [n], that point, may be NULL. */
enum sal_status sal_estimate(struct sal_search *search, float *out, struct sal_error *err);

/* What is found is made nearer: where nothing is, further along the ray through `last` (NULL:
 * none); then `rounds` times the nearest point of the plane that touches the boundary at
 * what is found; then (bisect) bisection along the ray, whose ends go to answer->bracket. */
enum sal_status sal_polish(struct sal_search *search, const float *last, int rounds,
                           bool bisect, struct sal_error *err);

/* The nearest flip in search->ball.norm by several attacks, polished: what mineps does, without
 * what tells whether to believe it. effort: of sal_effort_names. */
enum sal_status sal_nearest(struct sal_search *search, int effort, struct sal_error *err);

/* H v at p, out [n], of the logits times `of` [classes]: (gradient at p + eta v, less that at
 * p - eta v) / (2 eta), wherever these lie; 0 where nothing may be altered. Exact of quadratic
 * functions; of others as far as eta is small, and of ReLUs because it is not. room [4 n]; v and
 * out may be the same. */
enum sal_status sal_hessian_product(struct sal_search *search, const float *p, const float *v,
                                    double eta, const sal_real *of, float *room, float *out,
                                    struct sal_error *err);

/* Noise of the ball's norm. */
enum sal_status sal_noise(struct sal_search *search, struct sal_ball ball, int samples,
                          enum sal_stream stream, struct sal_control *control,
                          struct sal_error *err);

/* Scores over n ascending radii, into series of the answer: of PGD of `steps` steps in each
 * ball and whatever else was seen there, and of `samples` draws of noise. A light tells
 * where a larger ball did worse. */
enum sal_status sal_curve(struct sal_search *search, enum sal_norm norm, const double *eps,
                          int n, int steps, int samples, struct sal_error *err);

/* The 5th and 95th percentile of n > 0 values, which are sorted. */
void sal_spread(double *values, int n, double *low, double *high);

/* The least p for which k or fewer of n have no more than a chance of alpha. */
double sal_binomial_upper(int k, int n, double alpha);

#endif
