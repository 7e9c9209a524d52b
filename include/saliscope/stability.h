/*
 * A map before and after a probe: whether the explanation survives what was done to the image.
 *
 * The method's map of the probed class is made of the image as given and of the picture that
 * the probe leaves, whether or not that one is decided otherwise, and both are compared
 * (agreement.h). Beside it stands the control: the same for noise of the same norm, which says
 * what any change of that size does to such a map. Everything that is made here is owned by a
 * sal_stability; any thread.
 */
#ifndef SALISCOPE_STABILITY_H
#define SALISCOPE_STABILITY_H

#include "saliscope/agreement.h"
#include "saliscope/explain.h"
#include "saliscope/probe.h"

/* What is asked beside a probe's question, of which model, x, class, range, mask, seed, batch,
 * exact, pool and job are taken. */
struct sal_stability_question {
    const struct sal_probe_question *probed;
    const struct sal_method *method;
    const struct sal_params *method_params; /* NULL: defaults */
    int layer;                              /* value id; -1: automatic */
    enum sal_precision precision;           /* see sal_question */
    const struct sal_params *params;        /* of sal_stability_params; NULL: defaults */
};

/* "top", share of pixels; "draws" and "sensitivity", how many, -1: by what a map costs;
 * "radius" of sensitivity. Ends with a NULL name. */
extern const struct sal_param sal_stability_params[];

/* Of n maps under noise. */
struct sal_noise_agreement {
    int n;              /* 0: none was made */
    enum sal_norm norm; /* of the noise; that of the probe's change, where that is small in one,
                           else l2 */
    double eps;         /* its size: as large as the change is in that norm */
    struct sal_map_agreement mean;       /* NAN where it is of one of them */
    double overlap_low, overlap_high; /* the least and the largest of theirs */
};

struct sal_stability {
    struct sal_map before, after;    /* after has no values where nothing was altered */
    bool altered;                    /* there is a picture to compare with */
    bool decision_held;              /* of the class: called before and after, or neither time */
    double score_change;             /* |after - before| of its probability, else of its logit */
    struct sal_map_agreement agreement;  /* of before and after */
    struct sal_noise_agreement noise;
    int sensitivity_draws;           /* 0: none */
    double sensitivity_max;          /* the largest |h(x + d) - h(x)| / |h(x)| of draws d uniform
                                        in -radius..radius of unit intensity, within the range of
                                        the image; Euclidean norms (Yeh et al., NeurIPS 2019,
                                        arXiv:1901.09392; Captum's sensitivity_max, whose radius
                                        is 0.02 too, of the model's input). NAN: the map is 0 */
    struct sal_params params;        /* as used */
    long forwards, backwards;        /* of all maps */
    bool partial;                    /* stopped early: what was finished is there */
};

/* The first map, made before the probe runs, so that a method which cannot be asked is told
 * at once. Only after success is there anything to release. */
enum sal_status sal_stability_begin(const struct sal_stability_question *question,
                                    struct sal_stability *stability, struct sal_error *err);

/* All the rest, of what the probe left. Cancelled work is SAL_OK and partial. */
enum sal_status sal_stability_finish(const struct sal_stability_question *question,
                                     const struct sal_probe *probe,
                                     const struct sal_probe_answer *answer,
                                     struct sal_stability *stability, struct sal_error *err);

void sal_stability_release(struct sal_stability *stability);

#endif
