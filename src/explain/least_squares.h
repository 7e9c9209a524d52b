/*
 * Small dense problems of least squares, in double, from their normal equations. No state,
 * any thread.
 */
#ifndef SALISCOPE_EXPLAIN_LEAST_SQUARES_H
#define SALISCOPE_EXPLAIN_LEAST_SQUARES_H

/* Symmetric positive semidefinite a[n][n] becomes the Cholesky factor, in the lower
 * triangle, of itself plus 1e-10 of its largest diagonal element on the diagonal: what
 * equations leave open comes out small, what they do not, right to some nine digits. */
void sal_cholesky(double *a, int n);

/* b becomes the solution of factor factor' x = b. */
void sal_cholesky_solve(const double *factor, int n, double *b);

/* The b that makes b' g b / 2 - c' b + alpha sum |b| least, by coordinate descent from the
 * b that is there, until no element moves by more than 1e-10 of the largest; g[n][n]
 * symmetric, positive semidefinite. What has no diagonal element becomes 0. */
void sal_lasso(const double *g, const double *c, int n, double alpha, double *b);

#endif
