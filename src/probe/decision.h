/*
 * The decision about a class, as a function of the logits, and what attacks make small.
 */
#ifndef SALISCOPE_PROBE_DECISION_H
#define SALISCOPE_PROBE_DECISION_H

#include "saliscope/probe.h"

/* What an attack makes small; all are negative-going towards the goal. Margin: f itself,
 * towards the goal. CE: less the cross-entropy of what is decided (of a label, binary), which
 * saturates. DLR: the margin over the distance of the highest logit from the third (Croce,
 * Hein 2020), which no scale or shift of the logits changes; to create a class, which takes
 * four, over that from the mean of the third and fourth. Where there are too few classes, or
 * labels, it is the margin. */
enum sal_loss { SAL_LOSS_MARGIN, SAL_LOSS_CE, SAL_LOSS_DLR };
extern const char *const sal_loss_names[]; /* "margin" "ce" "dlr", NULL */

struct sal_decision {
    const struct sal_model *model;
    int n, c;           /* classes, and the one that is looked at */
    bool labels;        /* decided by itself, by its threshold */
    double threshold;   /* of labels: the least logit at which the class is called */
    double temperature; /* of cross-entropy */
    double blend;       /* logits this near to the highest other count with it in the slope of
                           the margin, where a class is to overtake all others at once: else
                           an attack zigzags between those it pushes down. 0: one counts */
    bool create;        /* the goal; to be set once the logits of the image are known */
};

/* Refuses a class whose threshold no logit reaches or all do. */
enum sal_status sal_decision_init(struct sal_decision *decision,
                                  const struct sal_model *model, int class_index,
                                  struct sal_error *err);

/* Exactly what classify says: flagged, or the highest, the first where several are. */
bool sal_decision_called(const struct sal_decision *decision, const sal_real *logits);

/* called is what the goal wants. */
bool sal_decision_reached(const struct sal_decision *decision, const sal_real *logits);

/* f: not below 0 where the class is called; and f towards the goal, positive until it is
 * reached. */
double sal_decision_f(const struct sal_decision *decision, const sal_real *logits);
double sal_decision_margin(const struct sal_decision *decision, const sal_real *logits);

/* The loss, and d loss / d logits [n]. */
double sal_decision_loss(const struct sal_decision *decision, enum sal_loss loss,
                         const sal_real *logits, sal_real *slope);

/* The `most` highest others, whose boundaries with the class count: to hide it one of them is
 * enough, to create it all must be crossed. Returns how many; of labels none. */
int sal_decision_rivals(const struct sal_decision *decision, const sal_real *logits, int most,
                        int *rivals);

#endif
