/*
 * Rules that replace the integral over 0..1 by a weighted sum.
 */
#ifndef SALISCOPE_EXPLAIN_QUADRATURE_H
#define SALISCOPE_EXPLAIN_QUADRATURE_H

/* Gauss-Legendre with n nodes is exact for polynomials up to degree 2n - 1; nodes and
 * weights are good to the last digits of a double. left, right, middle: n equal steps,
 * at that end of each. trapezoid: n nodes, both ends among them, weights 1/(n-1), the
 * ends' halved. riemann_trapezoid is Captum's, whose weights are 1/n instead, so that
 * they add up to (n-1)/n. adaptive has no nodes of its own, see straight.h. */
enum sal_rule {
    SAL_GAUSS_LEGENDRE,
    SAL_RIEMANN_LEFT,
    SAL_RIEMANN_RIGHT,
    SAL_RIEMANN_MIDDLE,
    SAL_TRAPEZOID,
    SAL_RIEMANN_TRAPEZOID,
    SAL_ADAPTIVE,
};

extern const char *const sal_rule_names[]; /* ends with NULL */

/* n >= 1, for the trapezoids n >= 2; nodes rise. Not of adaptive. */
void sal_quadrature(enum sal_rule rule, int n, double *nodes, double *weights);

#endif
