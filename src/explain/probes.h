/*
 * How far the scores of a sweep in bf16, or one that trims boxes, are from those in f32 that
 * trim nothing: on a few inputs, which are computed again when it is over.
 */
#ifndef SALISCOPE_EXPLAIN_PROBES_H
#define SALISCOPE_EXPLAIN_PROBES_H

#include "saliscope/explain.h"

enum { SAL_PROBES = 8, SAL_PROBES_MOST = 24 };

struct sal_probes {
    int n;
    int64_t at[SAL_PROBES_MOST];  /* numbers of inputs, all different */
    double bf16[SAL_PROBES_MOST]; /* their scores, trimmed or in bf16 */
    double f32[SAL_PROBES_MOST];
};

/* Which inputs: the first, which is the image itself, those of the greatest and the
 * least scores, where a map has its ends, and some more; or those of the greatest
 * scores; or three times as many of the first kind. */
enum sal_probes_kind { SAL_PROBES_ENDS, SAL_PROBES_GREATEST, SAL_PROBES_MANY };

/* Chooses from n scores in bf16, as many as there are; f32 is left to be filled in. */
void sal_probes_choose(struct sal_probes *probes, enum sal_probes_kind kind,
                       const double *scores, int64_t n);

/* The largest error of a score. */
double sal_probes_worst(const struct sal_probes *probes);

/* The mean error, and the largest difference between two: what errors have in common is
 * none of what is made of differences of scores. */
double sal_probes_mean(const struct sal_probes *probes);
double sal_probes_spread(const struct sal_probes *probes);

/* An error that input i, of that score, may have, for maps that are sums over many inputs:
 * what errors have in proportion to scores, by least squares, and what is left of one of
 * them, drawn by seed and i. A map made once more with these added shows what they do to
 * it. 0 without probes. */
double sal_probes_draw(const struct sal_probes *probes, uint64_t seed, int64_t i,
                       double score);

/* The largest difference of two maps' values, as a share of the range of the first. */
double sal_probes_share(const struct sal_map *map, const struct sal_map *other);

/* Puts into the map, which is complete, that it was computed in bf16 and with what
 * error: of scores, and `share` (1: all) of the map's range. A large one gets a note,
 * unless there is another. */
void sal_probes_tell(const struct sal_probes *probes, const struct sal_model *model,
                     double share, struct sal_map *map);

/* The same for boxes that were trimmed (sal_region_options), in f32. */
void sal_probes_tell_trim(const struct sal_probes *probes, const struct sal_model *model,
                          double share, struct sal_map *map);

#endif
