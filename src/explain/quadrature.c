#include "quadrature.h"

#include <math.h>
#include <stddef.h>

const char *const sal_rule_names[] = {"gausslegendre", "riemann_left",
                                     "riemann_right", "riemann_middle",
                                     "trapezoid",     "riemann_trapezoid",
                                     "adaptive",      NULL};

/* P_n(t) and its derivative by the three-term recurrence. */
static long double legendre(int n, long double t, long double *slope)
{
    long double p = 1, before = 0;
    for (int k = 1; k <= n; k++) {
        long double next = ((2 * k - 1) * t * p - (k - 1) * before) / k;
        before = p;
        p = next;
    }
    *slope = n * (t * p - before) / (t * t - 1);
    return p;
}

/* Newton from the usual estimate of root i, which is close enough for all n. */
static void gauss_legendre(int n, double unused, double *nodes, double *weights)
{
    (void)unused;
    const long double pi = 3.141592653589793238462643383279502884L;
    for (int i = 0; i < n; i++) {
        long double t = cosl(pi * (n - i - 0.25L) / (n + 0.5L)), slope, step;
        int rounds = 0;
        do {
            step = legendre(n, t, &slope) / slope;
            t -= step;
        } while (fabsl(step) > 1e-18L && ++rounds < 20);
        legendre(n, t, &slope);
        nodes[i] = (double)((1 + t) / 2);
        weights[i] = (double)(1 / ((1 - t * t) * slope * slope));
    }
}

static void equal_steps(int n, double at, double *nodes, double *weights)
{
    for (int i = 0; i < n; i++) {
        nodes[i] = (i + at) / n;
        weights[i] = 1.0 / n;
    }
}

/* missing: of n, how many do not count for a step's length */
static void trapezoid(int n, double missing, double *nodes, double *weights)
{
    double weight = 1 / (n - missing);
    for (int i = 0; i < n; i++) {
        nodes[i] = (double)i / (n - 1);
        weights[i] = i == 0 || i == n - 1 ? weight / 2 : weight;
    }
}

void sal_quadrature(enum sal_rule rule, int n, double *nodes, double *weights)
{
    static const struct {
        void (*fill)(int n, double how, double *nodes, double *weights);
        double how;
    } rules[] = {
        [SAL_GAUSS_LEGENDRE] = {gauss_legendre, 0}, [SAL_RIEMANN_LEFT] = {equal_steps, 0},
        [SAL_RIEMANN_RIGHT] = {equal_steps, 1},     [SAL_RIEMANN_MIDDLE] = {equal_steps, 0.5},
        [SAL_TRAPEZOID] = {trapezoid, 1},           [SAL_RIEMANN_TRAPEZOID] = {trapezoid, 0},
    };
    rules[rule].fill(n, rules[rule].how, nodes, weights);
}
