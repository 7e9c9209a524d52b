/*
 * Probes: altered inputs, to see what it takes to change one decision.
 *
 * A probe is a const struct in the file that implements it and one row (attacks.h). Probes
 * see the engine, never files or screens. Whatever is altered is the picture on the
 * network's pixel grid in unit intensity: 0 is the least and 1 the largest level that the
 * stored image can have, whatever preprocessing makes of it; there norms are taken, in
 * double, and there the box is. Where all input channels are copies of one grey picture,
 * they stay copies, and count once. An answer owns its memory; a probe may be run by any
 * thread.
 *
 * Everything that is found is an upper bound: that an attack found nothing within a
 * distance does not say that nothing is there.
 */
#ifndef SALISCOPE_PROBE_H
#define SALISCOPE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/image.h"
#include "saliscope/job.h"
#include "saliscope/model.h"
#include "saliscope/param.h"
#include "saliscope/status.h"

/*
 * The decision about a class. Of sigmoid outputs each label is decided by itself: it is
 * called where its probability reaches its threshold (0.5 where none is given), which is
 * f = z_c - logit(threshold_c) >= 0. Of other outputs the class with the highest logit is
 * called, f = z_c - max of the others; one logit alone without sigmoid and threshold is
 * called where it is not below 0. To hide a class that is called, or to create one that
 * is not, are the two ways in which that changes; create is what is elsewhere named a
 * targeted attack, hide an untargeted one.
 */
enum sal_goal { SAL_GOAL_AUTO, SAL_GOAL_HIDE, SAL_GOAL_CREATE };
extern const char *const sal_goal_names[]; /* "auto" "hide" "create", NULL */

/* What a probe looks for: most a picture that is decided otherwise; one that attacks the
 * explanation a picture that is decided as before, while its map is another. */
enum sal_sought { SAL_SEEK_FLIP, SAL_SEEK_EXPLANATION };
extern const char *const sal_sought_names[]; /* "flip" "explanation", NULL */

enum sal_norm { SAL_LINF, SAL_L2 };
extern const char *const sal_norm_names[]; /* "linf" "l2", NULL */

/* Where a picture may be altered, of a region. */
enum sal_where { SAL_EVERYWHERE, SAL_INSIDE, SAL_OUTSIDE };
extern const char *const sal_where_names[]; /* "everywhere" "inside" "outside", NULL */

struct sal_probe_answer;

/* What is asked. */
struct sal_probe_question {
    const struct sal_model *model;
    const sal_real *x;   /* one prepared input */
    int class_index;     /* 0..output.n-1 */
    unsigned white;      /* largest stored level of the image, 255 or 65535; 0: 255 */
    bool grey;           /* the image is grey: colour channels are tied like those of
                            gray3 */
    const uint8_t *mask; /* [height][width] of the input: where the picture may be
                            altered; NULL: everywhere */
    const uint8_t *roi;  /* [height][width] of the input, 1 inside: the region that is asked
                            about; NULL: none */
    enum sal_where where; /* of roi, and of mask */
    const struct sal_params *params;
    int batch;     /* inputs per pass where several are at hand; 0: up to 8 */
    uint64_t seed; /* of what is drawn */
    bool exact;    /* of all runs, see sal_run_options */
    struct sal_pool *pool;
    struct sal_job *job; /* may be NULL */
    /* Now and then, in the thread that asked: the best so far, partial, with what is known
     * without a further pass: of the altered picture no scores (`after` is `before`, f_after NAN),
     * and nothing about rounding or noise. It takes over what it zeroes; the rest is released.
     * NULL: nobody looks. What is found does not depend on it. */
    void (*show)(void *audience, struct sal_probe_answer *answer);
    void *audience;
};

/* Numbers in their order: y over x, to be plotted. */
struct sal_series {
    const char *name;  /* JSON key, static text: "attack" */
    const char *title; /* for people */
    int n;
    double *x, *y; /* [n] */
};

enum { SAL_SERIES_MAX = 8, SAL_LIGHTS_MAX = 8, SAL_FACTS_MAX = 16 };

/* What tells a gradient or an attack that cannot be trusted. */
struct sal_light {
    const char *name;  /* JSON key, static text: "zero_gradient" */
    const char *title; /* for people */
    bool alarm;        /* it is on */
    double value;      /* what was measured; NAN: nothing to tell */
    char text[160];    /* in words */
};

/* A perturbation's size, in unit intensity; times `white` it is in grey levels. */
struct sal_distance {
    double linf, l2;
    int64_t changed; /* pixels */
};

/* The altered picture rounded to levels 0..white, as a file would keep it, read back and
 * decided again. Where rounding undoes the flip, the change is made a little larger, by
 * steps, until it does not. */
struct sal_saved {
    unsigned white; /* 0: not looked at */
    bool survives;  /* the flip outlives rounding as it is */
    bool flipped;   /* or with the change this many times as large: */
    double scale;   /* 1 where it survives; the last that was tried where nothing flips */
    double f;       /* of that picture, see sal_probe_answer */
    struct sal_distance distance; /* of that, from the picture as it was given */
};

/* Noise of a certain norm, for comparison. */
struct sal_control {
    double eps;   /* the norm */
    int n, flips; /* draws; 0: none were made */
    double upper; /* of the share of flips, one-sided, 95 % (Clopper-Pearson) */
    double mean, low, high; /* of their scores: mean, 5th and 95th percentile */
};

/* Of an attack on the explanation: how much is left of the top of the input-gradient map,
 * h = |d logit / d p| with colours summed before. Shares of the top's pixels that are among the
 * top still (top.h). */
struct sal_displaced {
    int64_t top;    /* pixels of the top; 0: not looked at */
    double overlap; /* at x; NAN: nothing was found */
    double stored;  /* at x with every pixel rounded to the image's own levels, as a file of
                       them keeps it; NAN: not looked at */
    bool stored_holds; /* decision and score hold there too */
    int draws, held; /* of noise of the same norm, and in how many of them both hold */
    double noise, noise_low, noise_high; /* under them: mean, 5th and 95th percentile */
};

/* One altered picture among several that were tried, and what was decided there. */
struct sal_trial {
    const char *name;  /* JSON key of what was done, static text: "gamma" */
    char title[80];    /* for people: "gamma 1.4" */
    const char *way;   /* static text, of a setting that goes several: "darker"; NULL or "": none */
    int severity;      /* 1..5, of scales that have them; 0: none */
    double setting;    /* what was set, in `unit`; NAN: nothing */
    const char *unit;  /* static text; "" where it has none */
    double score, f;   /* the class's probability, else its logit, and the decision function; of
                          several draws their means */
    int draws, flips;  /* draws are 1 where nothing is drawn; flips: how many of them are decided
                          otherwise than the picture as it was given */
    struct sal_distance distance; /* of the last draw */
};

/* A figure that this probe alone has. */
struct sal_fact {
    const char *name;  /* JSON key, static text: "area_share" */
    const char *title; /* for people, static text: "share of the area" */
    double value;      /* NAN: there is none */
    const char *unit;  /* static text; "" where it has none */
};

struct sal_probe_answer {
    enum sal_sought sought;
    bool found;             /* x is altered, and is what was sought, as a forward of its own
                               says: flipped; or decided as before, the map another */
    enum sal_goal goal;     /* hide or create: what undoes the decision or was asked for */
    bool flipped;           /* the goal is reached by `x`, as a forward of its own says */
    bool already;           /* the image as given is decided that way: nothing was done */
    bool partial;           /* stopped early: the best so far */
    sal_real *x;            /* the altered input in the model's layout; the question's, bit
                               for bit, where nothing was found */
    float *picture;         /* [planes][height][width], unit intensity: what x shows */
    float *change;          /* the same less the picture as given */
    int planes, height, width; /* planes 1 where channels are tied, else the input's in
                               their order */
    sal_real *before, *after; /* [n_logits] */
    int n_logits;
    double f_before, f_after; /* the decision function; NAN where nothing can be said */
    bool called_before, called_after; /* the class is: equal where the decision is held */
    double score_before, score_after; /* the class's probability, else its logit */
    struct sal_distance distance;
    enum sal_norm norm;       /* that was kept or made small */
    double eps;               /* the radius that was kept; NAN: there was none */
    double bracket[2];        /* of a minimum norm: the longest way that did not flip, on the
                                 ray to x or in the search, and the length of the flip that
                                 was found; NAN where nothing was searched, or nothing that
                                 is smaller than the flip */
    double estimate;          /* of it, to first order at the image and within the box;
                                 INFINITY: first order does not reach it; NAN: no gradient */
    double best_margin;       /* f towards the goal at its best, of all points looked at;
                                 negative where the goal was reached */
    long forwards, backwards; /* inputs that were passed through, each way */
    struct sal_control noise;
    struct sal_displaced displaced;
    struct sal_saved stored;  /* rounded to the image's own levels */
    struct sal_saved deep;    /* rounded to 16 bits, as a PNG of ours has it */
    struct sal_series series[SAL_SERIES_MAX];
    int n_series;
    struct sal_light lights[SAL_LIGHTS_MAX];
    int n_lights;
    struct sal_trial *trials; /* [n_trials], in the order of the probe */
    int n_trials;
    struct sal_fact facts[SAL_FACTS_MAX];
    int n_facts;
    struct sal_params params; /* as used */
    char note[256];           /* in words what the figures do not say; "" */
};

enum sal_probe_needs {
    SAL_PROBE_GRADIENT = 1, /* of the model at its input */
    SAL_PROBE_ATTACK = 2,   /* it looks for a flip: listed as an attack */
    SAL_PROBE_DRAWS = 4,    /* random numbers: the seed counts */
    SAL_PROBE_HOLDS = 8,    /* it wants the decision held: SAL_SEEK_EXPLANATION */
    SAL_PROBE_REGION = 16,  /* it goes inside and outside of the region by itself */
};

struct sal_search; /* private to src/probe */

struct sal_probe {
    const char *name;    /* "pgd" */
    const char *title;   /* "Projected gradient descent" */
    const char *formula; /* one line, ASCII */
    const char *paper;   /* "Madry et al., ICLR 2018, arXiv:1706.06083" */
    unsigned needs;      /* of enum sal_probe_needs */
    const struct sal_param *params; /* ends with a NULL name */
    enum sal_status (*run)(struct sal_search *search, struct sal_error *err);
};

/* All probes; ends with NULL. The first is the default. */
extern const struct sal_probe *const sal_probe_list[];
const struct sal_probe *sal_probe_find(const char *name);

/* Of a corruption: the settings of severities 1..5 along its way number `way`, as that table has
 * them, and the way's name ("darker"; "" where there is one only). false: not a corruption,
 * or no such way; a table without numbers of its own has those of the first. The tables' names:
 * sal_severity_table_names[], ends with NULL. */
enum { SAL_SEVERITIES = 5 };
extern const char *const sal_severity_table_names[]; /* "chest" "pneumonia" "imagenet" */
bool sal_probe_severities(const struct sal_probe *probe, int table, int way, const char **name,
                          double settings[SAL_SEVERITIES]);

/* Checks the question, runs the probe, and looks at what it found once more, by a forward
 * as classify makes it: flipped and after are that one's. Of a region that is asked about
 * facts tell the share of the area, and of the change's energy (sum of squares) inside. Nothing found is SAL_OK with
 * flipped false. Cancelled work is SAL_OK and partial once the image itself was seen, else
 * SAL_CANCELLED. An operator without gradient on the way is SAL_UNSUPPORTED, by name, of
 * probes that need one. */
enum sal_status sal_probe_run(const struct sal_probe *probe,
                              const struct sal_probe_question *question,
                              struct sal_probe_answer *answer, struct sal_error *err);
void sal_probe_answer_release(struct sal_probe_answer *answer);

/* Noise on the question's picture as an input x, number i of its draws under the seed: a sign
 * for each element or (l2) a direction, of norm eps; or, uniform, each element within -eps and
 * eps. Less only where range or mask hold it back. */
enum sal_status sal_probe_noised(const struct sal_probe_question *question, enum sal_norm norm,
                                 double eps, bool uniform, uint64_t i, sal_real *x,
                                 struct sal_error *err);

/* The picture with its change times scale, as an image of levels 0..white, grey where it
 * has one plane, else in the order red, green, blue. sal_image_release() it. */
enum sal_status sal_probe_picture(const struct sal_probe_answer *answer,
                                  const struct sal_model *model, unsigned white,
                                  double scale, struct sal_image *image,
                                  struct sal_error *err);

/* The series of that name; NULL: none. */
const struct sal_series *sal_probe_series(const struct sal_probe_answer *answer,
                                          const char *name);

#endif
