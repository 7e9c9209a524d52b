/* Small problems of least squares against what makes a solution one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "least_squares.h"

enum { DIM = 30, ROWS = 50 };

static double gram[DIM * DIM], side[DIM];

/* Normal equations of waves; the last column is `copy` of them again. */
static void make_problem(int copy)
{
    memset(gram, 0, sizeof(gram));
    memset(side, 0, sizeof(side));
    for (int r = 0; r < ROWS; r++) {
        double row[DIM];
        for (int i = 0; i < DIM; i++)
            row[i] = sin(1.7 * r * (i + 1) + i);
        if (copy >= 0)
            row[DIM - 1] = row[copy];
        for (int i = 0; i < DIM; i++) {
            side[i] += row[i] * (3 * row[2] - row[5] + 0.1 * cos(r)) / ROWS;
            for (int j = 0; j < DIM; j++)
                gram[i * DIM + j] += row[i] * row[j] / ROWS;
        }
    }
}

/* How far b is from solving the equations. */
static double residual(const double *b, int i)
{
    double sum = side[i];
    for (int j = 0; j < DIM; j++)
        sum -= gram[i * DIM + j] * b[j];
    return sum;
}

static void a_factor_solves_the_equations(void **state)
{
    (void)state;
    for (int copy = -1; copy < 1; copy++) { /* also where they leave something open */
        double factor[DIM * DIM], b[DIM];
        make_problem(copy);
        memcpy(factor, gram, sizeof(factor));
        memcpy(b, side, sizeof(b));
        sal_cholesky(factor, DIM);
        sal_cholesky_solve(factor, DIM, b);
        for (int i = 0; i < DIM; i++) {
            assert_true(fabs(residual(b, i)) <= 1e-8);
            assert_true(fabs(b[i]) <= 4);
        }
        if (copy < 0)
            assert_true(fabs(b[2] - 3) <= 0.1 && fabs(b[5] + 1) <= 0.1);
        else
            assert_true(fabs(b[DIM - 1] - b[copy]) <= 1e-5);
    }
}

static void nothing_known_is_nothing(void **state)
{
    (void)state;
    double factor[4] = {0}, b[2] = {0};
    sal_cholesky(factor, 2);
    sal_cholesky_solve(factor, 2, b);
    assert_true(b[0] == 0 && b[1] == 0);
    sal_lasso(factor, b, 0, 0.1, b);
}

/* What is 0 is not pulled harder than alpha, what is not 0 exactly as hard. */
static void a_lasso_meets_its_conditions(void **state)
{
    (void)state;
    static const double alphas[] = {0.001, 0.05, 0.3, 10};
    make_problem(-1);
    int used_before = DIM + 1;
    for (int k = 0; k < 4; k++) {
        double b[DIM] = {0};
        int used = 0;
        sal_lasso(gram, side, DIM, alphas[k], b);
        for (int i = 0; i < DIM; i++) {
            double pull = residual(b, i);
            used += b[i] != 0;
            if (b[i] == 0)
                assert_true(fabs(pull) <= alphas[k] + 1e-8);
            else
                assert_true(fabs(pull - copysign(alphas[k], b[i])) <= 1e-8);
        }
        assert_true(used <= used_before && (used > 0) == (k < 3));
        used_before = used;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_factor_solves_the_equations),
        cmocka_unit_test(nothing_known_is_nothing),
        cmocka_unit_test(a_lasso_meets_its_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
