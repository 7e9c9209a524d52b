/*
 * How far two maps of the same size agree: functions of their values and of nothing else.
 *
 * Everything is summed in double, in the order of pixels; each measure is symmetric in its two
 * maps, and 1 (shift: 0) of a map and itself, exactly. A map that is the same everywhere,
 * up to rounding (a range within 1e-6 of its largest value), ranks nothing: what would need an
 * order or a spread of it is NAN, and so is what needs a mass that is not there. No state, any
 * thread; values are finite.
 */
#ifndef SALISCOPE_AGREEMENT_H
#define SALISCOPE_AGREEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/status.h"

struct sal_map_agreement {
    int64_t top;        /* pixels that count as the top of a map */
    double overlap;     /* of both tops, 0..1 (top.h, which says how ties share); of signed maps
                           by magnitude */
    double spearman;    /* rank correlation, -1..1 */
    double spearman_magnitude; /* of magnitudes: sign apart; the same where nothing is negative */
    double pearson;     /* correlation, -1..1 */
    double ssim;        /* structural similarity, at most 1, of maps as they are drawn: over the
                           largest magnitude, 0..1; with zero at 0.5 where one is negative */
    double shift;       /* of the centre of mass (of magnitudes), in pixels */
};

/* All of them. a, b: [height][width]. share of the pixels that are the top, 0 < share <= 1.
 * Ghorbani et al. (AAAI 2019, arXiv:1710.10547) measure overlap, Spearman and shift of
 * magnitudes; Adebayo et al. (NeurIPS 2018, arXiv:1810.03292) Spearman with and without sign,
 * and SSIM. SAL_LIMIT: no memory. */
enum sal_status sal_map_agreement_of(const float *a, const float *b, int height, int width,
                                 double share, struct sal_map_agreement *agreement,
                                 struct sal_error *err);

/* The measures as a table, for who tells, adds or lists them; ends with a NULL name. */
struct sal_measure {
    const char *name;  /* JSON key, static text: "top_overlap" */
    const char *title; /* for people: "top overlap" */
    const char *unit;  /* "" where it has none */
    const char *help;  /* one phrase */
    const char *paper;
    double same; /* of a map and itself: 1 or 0 */
    size_t at;   /* in struct sal_map_agreement */
};
extern const struct sal_measure sal_measures[];

double *sal_measure_in(struct sal_map_agreement *agreement, const struct sal_measure *measure);
double sal_measure_of(const struct sal_map_agreement *agreement,
                      const struct sal_measure *measure);

/* All of them NAN: of maps that were not compared. */
struct sal_map_agreement sal_map_agreement_none(void);

/* ---- one by one, of values as they are -------------------------------------------------------- */

bool sal_map_is_flat(const float *values, int64_t n);

/* Unchanged by a scale above 0 and a shift of either map. */
double sal_map_pearson(const float *a, const float *b, int64_t n);

/* Pearson's of ranks; equal values have the mean of their ranks. Unchanged by whatever keeps
 * the order of either map. */
enum sal_status sal_map_spearman(const float *a, const float *b, int64_t n, double *spearman,
                                 struct sal_error *err);

/* Structural similarity (Wang et al., IEEE TIP 2004): the mean over all windows of 11 x 11
 * within the map, weighted by a Gaussian of sigma 1.5, K1 0.01, K2 0.03, `range` that of the
 * data, variances over the weights (not n - 1). Defined of flat maps too. NAN where a map is
 * smaller than a window or range is not above 0. As scikit-image computes it with
 * gaussian_weights and without use_sample_covariance. */
enum sal_status sal_map_ssim(const float *a, const float *b, int height, int width,
                             double range, double *ssim, struct sal_error *err);

/* The centre of mass of magnitudes, in pixels from the centre of the first; false: no mass. */
bool sal_map_centre(const float *values, int height, int width, double *x, double *y);

#endif
