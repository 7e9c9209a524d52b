/*
 * A tally: the scores of all classes for the inputs of a sweep without gradient.
 *
 * Those inputs must not depend on the class that is asked for. So the map of another class
 * needs no forward, and a sweep that was stopped goes on where it was. Only the first sweep of
 * an explanation is kept.
 */
#ifndef SALISCOPE_EXPLAIN_TALLY_H
#define SALISCOPE_EXPLAIN_TALLY_H

#include "saliscope/explain.h"

/* From here on the tally is of this question; what it had of another is forgotten. */
void sal_tally_begin(struct sal_tally *tally, const struct sal_method *method,
                     const struct sal_question *question);

/* Asked once by each sweep: whether n inputs with `each` scores can be kept. Forgets those of a
 * sweep with other numbers. */
bool sal_tally_fits(struct sal_tally *tally, int64_t n, int each);

/* How many inputs' scores are there, the first ones; and the share they were had for (see
 * sal_sweep). */
int64_t sal_tally_done(const struct sal_tally *tally, double *share);
const sal_real *sal_tally_scores(const struct sal_tally *tally, int64_t i);

/* The next input's; and, behind the last, the share. */
void sal_tally_add(struct sal_tally *tally, const sal_real *scores);
void sal_tally_share(struct sal_tally *tally, double share);

#endif
