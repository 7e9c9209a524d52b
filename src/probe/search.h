/*
 * A search for a changed decision: where it looks, what it has seen, what is best so far.
 *
 * An attack asks for points to be looked at (sal_search_look) and does nothing else with the
 * model. Every point that is looked at counts: the flip nearest to the picture, and the
 * lowest margin within the ball, are kept here whoever found them, so an attack that ends
 * early, or is stopped, loses nothing, and several attacks on one search are never worse
 * than the best of them.
 */
#ifndef SALISCOPE_PROBE_SEARCH_H
#define SALISCOPE_PROBE_SEARCH_H

#include "decision.h"
#include "saliscope/run.h"
#include "space.h"

enum { SAL_CURVE_MAX = 16 };

/* A point to be looked at, and what was seen there. */
struct sal_look {
    const float *p;        /* [n] of the space, in its box */
    float *gradient;       /* [n], where d loss / d p goes; NULL: not wanted */
    enum sal_loss loss;    /* of the gradient and of `value` */
    const sal_real *slope; /* for a gradient of sum slope * logits instead; NULL: of loss */
    sal_real *logits;      /* [classes], where they go; NULL: not wanted */
    bool whole;            /* the gradient of all pixels, those that may not be altered too */
    bool aside;            /* it is only measured: it may lie outside of box and ball, and
                              counts for nothing */
    double margin, value;  /* f towards the goal, and the loss: both to be made small */
    bool reached;
};

struct sal_search {
    const struct sal_probe_question *question;
    const struct sal_probe *probe;
    const struct sal_params *params;
    struct sal_probe_answer *answer;
    struct sal_space space;
    struct sal_decision decision;
    double margin0; /* of the picture as given */

    struct sal_ball ball; /* what is searched now */
    float *closest;       /* of all points that reached the goal, the nearest by ball.norm */
    double nearest;       /* its distance; INFINITY: none did */
    double lowness;       /* and its margin, not above 0 */
    float *deepest;       /* of all points within the ball, that of the lowest margin */
    double depth;         /* that margin */
    double best;          /* the lowest margin of all */
    float *kept;          /* of a probe that holds the decision, what it found; NULL: nothing */
    double drift;         /* that the score may move by there */

    float *gradient0;     /* [n], of the margin at the picture as given, where attacks begin */
    double seen0;         /* that margin; NAN: nobody asked yet */

    int n_curve; /* the worst score and margin at a distance of up to eps[k] */
    double eps[SAL_CURVE_MAX], score[SAL_CURVE_MAX], margin[SAL_CURVE_MAX];

    struct sal_run *runs[2][2]; /* [gradient][several at once]; NULL: not opened */
    int wide[2];                /* inputs per pass of those for several */
    sal_real *x, *slopes;       /* of one pass */
    int room;                   /* inputs that there is memory for in them */
    double *probabilities;      /* [classes] */
    sal_real *logits;           /* [classes] */
    struct sal_series *trail;   /* of the answer: the best over the passes so far */
    int trail_room;
    double show_due; /* seconds: when the best so far may be shown again */
    int shown;       /* points of the trail that were */
};

enum sal_status sal_search_init(struct sal_search *search, const struct sal_probe *probe,
                                const struct sal_probe_question *question,
                                struct sal_probe_answer *answer, struct sal_error *err);
void sal_search_release(struct sal_search *search);

/* Searches that ball from now on; the deepest point is forgotten, the closest is not while
 * the norm stays the same. */
void sal_search_aim(struct sal_search *search, struct sal_ball ball);

/* Alters only there from now on; what was found elsewhere is forgotten. */
void sal_search_confine(struct sal_search *search, enum sal_where where);

/* What was found (the closest point, in a ball the deepest) as classify decides it, or a
 * point a hair further: into p [n], its input and logits into the answer's x and after.
 * *reached: it is decided as wanted. */
enum sal_status sal_search_settle(struct sal_search *search, float *p, bool *reached,
                                  struct sal_error *err);

/* Passes that the work ahead will take, for those who wait. */
void sal_search_expect(struct sal_search *search, long passes);

/* Passes the points forward, and back where gradients are wanted: of all or of none. The
 * results do not depend on how many are at hand at once. */
enum sal_status sal_search_look(struct sal_search *search, struct sal_look *looks, int n,
                                struct sal_error *err);

/* Shows whoever looks on what is new, not too often. */
void sal_search_show(struct sal_search *search);

/* What classify would say of an input: a forward of its own. */
enum sal_status sal_search_classify(struct sal_search *search, const sal_real *x,
                                    sal_real *logits, struct sal_job *job,
                                    struct sal_error *err);

/* Decided as the picture as given, and the class's probability within `drift` of what it is
 * there; where it has none, f within that share of |f|. */
bool sal_search_holds(struct sal_search *search, const sal_real *logits, double drift);

/* Something is inside the ball that reached the goal. */
bool sal_search_found(const struct sal_search *search);

/* The score that people know: the class's probability, else its logit. */
double sal_search_score(struct sal_search *search, const sal_real *logits);

/* The points of the curve, ascending; from now on every point counts for it. */
void sal_search_watch(struct sal_search *search, const double *eps, int n);

/* What rounding to levels does to the answer's picture, into stored and deep. */
enum sal_status sal_save_answer(struct sal_search *search, struct sal_error *err);

/* ---- for attacks ------------------------------------------------------------------------ */

/* The value of a parameter, of the probe that runs. */
double sal_search_param(const struct sal_search *search, const char *name);

/* The same of one that not every probe has. */
double sal_search_param_or(const struct sal_search *search, const char *name, double fallback);

/* A vector of the space's size, zeros; NULL and *status where there is no memory, or
 * *status was no success before. free() it. */
float *sal_search_vector(const struct sal_search *search, enum sal_status *status,
                         struct sal_error *err);

/* Adds a series of n points, y copied from values (NULL: zeros). */
enum sal_status sal_search_series(struct sal_search *search, const char *name,
                                  const char *title, int n, const double *x,
                                  const double *values, struct sal_error *err);

/* Adds a trial; how flips are counted is up to the probe. */
enum sal_status sal_search_trial(struct sal_search *search, const struct sal_trial *trial,
                                 struct sal_error *err);

/* Adds a figure of the probe's own. */
void sal_search_fact(struct sal_search *search, const char *name, const char *title,
                     double value, const char *unit);

/* Adds a light, or replaces the one of that name. */
void sal_search_light(struct sal_search *search, const char *name, const char *title,
                      bool alarm, double value, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#endif
