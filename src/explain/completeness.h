/*
 * Completeness: a map whose values are shares of the score's change along a way adds up to
 * that change (Sundararajan et al., ICML 2017); by how much it does not is told with it.
 */
#ifndef SALISCOPE_EXPLAIN_COMPLETENESS_H
#define SALISCOPE_EXPLAIN_COMPLETENESS_H

#include "saliscope/explain.h"

/* score, base: where the way ends and where it begins; total: the sum of the map. */
struct sal_completeness {
    double score, base, total;
};

/* |total - (score - base)| / |score - base|; 0 where there is no error, else perhaps
 * infinite. */
double sal_completeness_error(const struct sal_completeness *sum);

/* Adds up to four checks; `begin` is what the score `base` is of: "baseline's score". */
void sal_completeness_tell(const struct sal_completeness *sum, const char *begin,
                           struct sal_map *map);

/* Puts a note where the error is large; `remedy`: what may come closer. */
void sal_completeness_note(const struct sal_completeness *sum, const char *remedy,
                           struct sal_map *map);

#endif
