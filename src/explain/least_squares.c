#include "least_squares.h"

#include <math.h>
#include <stdbool.h>

enum { ROUNDS_MAX = 20000 };

static const double ridge = 1e-10, least_step = 1e-10;

void sal_cholesky(double *a, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, a[(long)i * n + i]);
    double more = most > 0 ? ridge * most : 1;
    for (int i = 0; i < n; i++) {
        double *row = a + (long)i * n;
        for (int j = 0; j <= i; j++) {
            const double *other = a + (long)j * n;
            double sum = row[j] + (i == j ? more : 0);
            for (int k = 0; k < j; k++)
                sum -= row[k] * other[k];
            if (j < i)
                row[j] = sum / other[j];
            else
                row[i] = sqrt(fmax(sum, more / 2)); /* rounding may leave less */
        }
    }
}

void sal_cholesky_solve(const double *factor, int n, double *b)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++)
            b[i] -= factor[(long)i * n + k] * b[k];
        b[i] /= factor[(long)i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            b[i] -= factor[(long)k * n + i] * b[k];
        b[i] /= factor[(long)i * n + i];
    }
}

/* The best b[i] while the others stay. */
static double best(const double *g, const double *c, int n, double alpha, const double *b,
                   int i)
{
    const double *row = g + (long)i * n;
    double rest = c[i];
    for (int k = 0; k < n; k++)
        rest -= k == i ? 0 : row[k] * b[k];
    double size = fabs(rest) - alpha;
    return row[i] > 0 && size > 0 ? copysign(size, rest) / row[i] : 0;
}

void sal_lasso(const double *g, const double *c, int n, double alpha, double *b)
{
    bool moving = true;
    for (int round = 0; moving && round < ROUNDS_MAX; round++) {
        double most = 0, step = 0;
        for (int i = 0; i < n; i++) {
            double value = best(g, c, n, alpha, b, i);
            step = fmax(step, fabs(value - b[i]));
            most = fmax(most, fabs(value));
            b[i] = value;
        }
        moving = step > least_step * most;
    }
}
