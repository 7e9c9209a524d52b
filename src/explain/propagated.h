/*
 * For methods whose backward follows rules (saliscope/propagation.h): what comes back to
 * the input.
 */
#ifndef SALISCOPE_EXPLAIN_PROPAGATED_H
#define SALISCOPE_EXPLAIN_PROPAGATED_H

#include "methods.h"

struct sal_propagated {
    const struct sal_propagation *propagation;
    const struct sal_lrp *lrp;       /* of sal_propagation_lrp; NULL */
    const sal_real *reference;       /* another input, that rules compare with; NULL */
    double score, reference_score;   /* filled */
    int ruled;                       /* filled: nodes with rules */
    double *values;                  /* filled: of the input's elements, in its layout; to be
                                        freed, also after a failure */
};

/* One forward of the question's input, and of the reference, and one backward; all are
 * counted in map, which gets its score. */
enum sal_status sal_propagated_run(struct sal_propagated *p,
                                   const struct sal_question *question, struct sal_map *map,
                                   struct sal_error *err);

#endif
