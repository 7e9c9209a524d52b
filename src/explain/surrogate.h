/*
 * A surrogate: the score as a sum over superpixels, fitted to what it is with some of them
 * taken out.
 *
 * A method says which superpixels each sample keeps and what the sample weighs; here the
 * passes are made and the normal equations added up, in the order of the samples, so that
 * they are the same bits for any batch. Of a sample only the score is kept.
 */
#ifndef SALISCOPE_EXPLAIN_SURROGATE_H
#define SALISCOPE_EXPLAIN_SURROGATE_H

#include "superpixels.h"

struct sal_surrogate {
    const struct sal_question *question;
    void *context; /* for choose and fit */
    /* Fills present[superpixels.n] with 0 or 1 for sample i and returns its weight, which
     * is not negative. Several threads may be in it at once. */
    double (*choose)(const struct sal_surrogate *s, int64_t i, unsigned char *present);
    int64_t samples;
    /* The map from the sums over the samples so far: after the last one, or, with
     * map->partial, now and then before; what it costs is then to be little. */
    enum sal_status (*fit)(struct sal_surrogate *s, struct sal_map *map,
                           struct sal_error *err);

    struct sal_superpixels superpixels;
    sal_real *baseline;  /* what takes the place of a superpixel */
    double full, empty;  /* the scores with all superpixels and with none */
    int64_t done;        /* samples taken */
    double *score;       /* [done]: y of each, which is its score - empty */
    /* Sums over these, with weight w and presence z: */
    double *gram;        /* [n][n]: of w z z' */
    double *presence;    /* [n]: of w z */
    double *moment;      /* [n]: of w z y */
    double weight, mean, square; /* of w, w y and w y^2 */
};

/* Cuts the input and makes the baseline and room for sums, as the parameters in the
 * method's list ask for; the rest is left to the method. To be released, also after a
 * failure. */
enum sal_status sal_surrogate_init(struct sal_surrogate *s,
                                   const struct sal_question *question,
                                   const struct sal_param *list, struct sal_error *err);
void sal_surrogate_release(struct sal_surrogate *s);

/* Makes the passes and the map. A sweep that was cancelled after the first sample is SAL_OK,
 * with map->partial and a note. */
enum sal_status sal_surrogate_explain(struct sal_surrogate *s, struct sal_map *map,
                                     struct sal_error *err);

/* How much of the samples' variance (weighed) intercept + sum of coefficients explains;
 * NaN where there is none. intercept: of y. */
double sal_surrogate_r2(const struct sal_surrogate *s, const double *coefficient,
                        double intercept);

/* The map: each pixel has the coefficient of its superpixel. */
enum sal_status sal_surrogate_draw(const struct sal_surrogate *s, const double *coefficient,
                                   struct sal_map *map, struct sal_error *err);

#endif
