/*
 * The straight way of integrated gradients: from a baseline x0 to x.
 *
 * What it gives is (x - x0) times the mean gradient on the way, by a rule of quadrature.
 * Were the mean exact it would add up to score(x) - score(x0); the steps can be doubled
 * until it nearly does. Points that a rule shares with its own refinement are kept: all of
 * them for left, right and the trapezoids, none for the middle and for Gauss-Legendre.
 *
 * Or points are put where they are needed, one after another, with trapezoids between them.
 * The score is known at both ends of each, so it has a completeness error of its own, and the
 * map's is their sum: the one that is furthest off is halved, and in turn with it the one
 * over which the gradient changes most. Networks of ReLUs want that: their gradient jumps
 * in places and hardly changes between them.
 *
 * One thread; sums are the same bits for any batch and any number of threads.
 */
#ifndef SALISCOPE_EXPLAIN_STRAIGHT_H
#define SALISCOPE_EXPLAIN_STRAIGHT_H

#include "completeness.h"
#include "quadrature.h"
#include "saliscope/explain.h"

struct sal_straight {
    /* What is asked for. */
    const struct sal_question *question;
    const sal_real *from; /* the baseline, in the layout of x */
    enum sal_rule rule;
    int steps;        /* at first; for the trapezoids at least 2 */
    double tolerance; /* the relative completeness error to come below; 0: any */
    int steps_max;    /* what is not gone beyond for it */

    /* What comes out. */
    double *sum; /* [elements of an input], free() it, also after a failure */
    struct sal_completeness reached;
    int used;        /* steps that sum is of */
    int done;        /* of those; fewer when stopped */
    int wanted;      /* steps of the refinement that was begun; used: none */
    double least;    /* the smallest relative error of all refinements, */
    int least_steps; /* and its steps */
    double apart;    /* of points where they are needed: the relative completeness error, were
                        none of a trapezoid to cancel another's */
};

/* Either counts its passes in map. Stopped (SAL_CANCELLED inside) with a gradient or more it
 * gives what it has: the last refinement that was finished, or a part of the first. */
enum sal_status sal_straight_walk(struct sal_straight *way, struct sal_map *map,
                                  struct sal_error *err);

/* The points where they are needed; rule does not matter. Without a tolerance there are
 * `steps`; else it begins with 5, and ends where the map adds up, not by luck: the
 * trapezoids' errors without their signs add up to at most ten times the tolerance. It keeps
 * the gradients of all points, and lowers steps_max to what 1 GiB holds. */
enum sal_status sal_straight_adapt(struct sal_straight *way, struct sal_map *map,
                                   struct sal_error *err);

/* x0 + alpha (x - x0), in the layout of x; at 1 it is x but for rounding. */
void sal_straight_point(const struct sal_straight *way, double alpha, sal_real *x);

#endif
