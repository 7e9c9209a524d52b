#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saliscope/random.h"

/* The sequence that other implementations print for the state 1234567. */
static void the_bits_are_those_of_splitmix64(void **state)
{
    (void)state;
    static const uint64_t known[] = {6457827717110365317u, 3203168211198807973u,
                                     9817491932198370423u, 4593380528125082431u,
                                     16408922859458223821u};
    for (uint64_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        assert_true(sal_random_bits(1234567, i) == known[i]);
}

static void streams_share_no_numbers(void **state)
{
    (void)state;
    for (uint64_t stream = 0; stream < 20; stream++) {
        uint64_t a = sal_random_key(7, stream), b = sal_random_key(7, stream + 1);
        for (uint64_t i = 0; i < 20; i++)
            for (uint64_t k = 0; k < 20; k++)
                assert_true(sal_random_bits(a, i) != sal_random_bits(b, k));
    }
    assert_true(sal_random_key(1, 0) != sal_random_key(0, 1));
}

static void uniform_numbers_fill_zero_to_one(void **state)
{
    (void)state;
    enum { N = 100000 };
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = sal_random_uniform(3, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    assert_true(fabs(sum / N - 0.5) <= 0.005);
    assert_true(fabs(squares / N - 1.0 / 3) <= 0.005);
}

static void normal_numbers_have_the_moments_of_the_normal(void **state)
{
    (void)state;
    enum { N = 100000 };
    double moment[5] = {0}, product = 0;
    for (uint64_t i = 0; i < N; i++) {
        double pair[2];
        sal_random_normals(11, i, pair);
        for (int k = 0; k < 2; k++)
            for (int p = 1; p <= 4; p++)
                moment[p] += pow(pair[k], p) / (2 * N);
        product += pair[0] * pair[1] / N;
    }
    assert_true(fabs(moment[1]) <= 0.01 && fabs(moment[2] - 1) <= 0.02);
    assert_true(fabs(moment[3]) <= 0.05 && fabs(moment[4] - 3) <= 0.1);
    assert_true(fabs(product) <= 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_are_those_of_splitmix64),
        cmocka_unit_test(streams_share_no_numbers),
        cmocka_unit_test(uniform_numbers_fill_zero_to_one),
        cmocka_unit_test(normal_numbers_have_the_moments_of_the_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
