/* How far maps agree: against values counted by hand, against SciPy's and scikit-image's, and
 * what must hold for any maps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "saliscope/agreement.h"
#include "saliscope/top.h"
#include "small_network.h"

enum { SIDE = 30, MOST = SIDE * SIDE };

static struct sal_map_agreement agreement_of(const float *a, const float *b, int height, int width,
                                         double share)
{
    struct sal_map_agreement agreement;
    must(sal_map_agreement_of(a, b, height, width, share, &agreement, err));
    return agreement;
}

static void assert_near(double got, double want, double slack)
{
    if (!(fabs(got - want) <= slack))
        fail_msg("%.15g instead of %.15g", got, want);
}

/* ---- by hand ------------------------------------------------------------------------------- */

static void tops_are_counted_and_ties_share(void **state)
{
    (void)state;
    const float a[8] = {5, 4, 3, 3, 3, 1, -0.0F, 0}, b[8] = {5, 1, 4, 3, 0, 0, 3, 0};
    struct sal_top two = sal_top_find(a, 8, 2), four = sal_top_find(a, 8, 4);
    assert_true(two.least == 4 && two.left == 1 && two.equal == 1);
    assert_true(four.least == 3 && four.left == 2 && four.equal == 3);
    assert_near(sal_top_part(&four, 3), 2 / 3.0, 1e-15);
    assert_true(sal_top_part(&four, 4) == 1 && sal_top_part(&four, 1) == 0);
    struct sal_top other = sal_top_find(b, 8, 4); /* 5, 4, and both threes */
    assert_true(other.least == 3 && other.left == 2 && other.equal == 2);
    /* 5 in both; the pixels 2 and 3 by two thirds in a, whole in b */
    assert_near(sal_top_overlap(a, &four, b, &other, 8), (1 + 4 / 3.0) / 4, 1e-15);
    struct sal_top zeros = sal_top_find(a, 8, 7); /* both zeros are one value */
    assert_true(zeros.least == 0 && zeros.left == 1 && zeros.equal == 2);
    const float low[4] = {-1, -2, -3, -2};
    struct sal_top three = sal_top_find(low, 4, 2);
    assert_true(three.least == -2 && three.left == 1 && three.equal == 2);
    assert_int_equal(sal_top_places(50176, 0.05), 2509);
    assert_int_equal(sal_top_places(3, 0.05), 1);
    assert_int_equal(sal_top_places(3, 1), 3);
}

static void ranks_and_shifts_are_those_of_a_pencil(void **state)
{
    (void)state;
    const float a[4] = {1, 2, 2, 3}, b[4] = {1, 3, 2, 4}; /* ranks 1 2.5 2.5 4; 1 3 2 4 */
    double rho;
    must(sal_map_spearman(a, b, 4, &rho, err));
    assert_near(rho, 4.5 / sqrt(4.5 * 5), 1e-15);
    assert_near(sal_map_pearson(a, b, 4), 3 / sqrt(2 * 5.0), 1e-15);
    const float left[6] = {1, 0, 0, 1, 0, 0}, right[6] = {0, 0, 0, 0, 0, -2};
    struct sal_map_agreement two = agreement_of(left, right, 2, 3, 0.05);
    assert_near(two.shift, sqrt(4 + 0.25), 1e-15); /* (0, 0.5) to (2, 1), sign apart */
}

/* ---- recorded -------------------------------------------------------------------------------- */

/* Numbers that are the same in every language. */
static void fill(int height, int width, bool ties, bool is_signed, float *a, float *b)
{
    for (int64_t i = 0; i < (int64_t)height * width; i++) {
        double u = (double)((i * i * 7 + i * 13) % 101) / 4;
        double v = (double)((i * i * 3 + i * 29 + 5) % 97) / 8 + u / 2;
        u = ties ? fmax(u - 15, 0) : u;
        v = ties ? fmax(v - 10, 0) : v;
        a[i] = (float)(u - (is_signed ? 12 : 0));
        b[i] = (float)(v - (is_signed ? 9 : 0));
    }
}

/* spearmanr, pearsonr, center_of_mass of SciPy 1.17.1; structural_similarity of scikit-image
 * 0.26.0 (gaussian_weights, sigma 1.5, no sample covariance), of maps as they are drawn with
 * data_range 1, and of maps as they are with data_range 7; overlaps by NumPy 2.4.6, sorting. */
static const struct {
    int height, width;
    bool ties, is_signed;
    int top;
    double overlap, spearman, magnitude, pearson, ssim, shift, plain;
} recorded[] = {
    {16, 20, false, false, 16, 0.1875, 0.700726369052872, 0.700726369052872, 0.709481447749899,
     0.631271533886307, 0.159110108088952, 0.612471115679782},
    {23, 17, true, false, 20, 0.1625, 0.604826799798381, 0.604826799798381, 0.588189862610912,
     0.57509975588517, 0.874915634657252, 0.480434378129236},
    {30, 30, false, true, 45, 0.0615873015873016, 0.70987364341179, 0.175974998385425,
     0.71603048954866, 0.60856103356358, 0.0953714128986474, -0.0616978880406549},
    {11, 11, true, true, 6, 0.551282051282051, 0.568271164870615, 0.550874714671116,
     0.540763983856692, 0.350005901379437, 0.0559230425408896, 0.442008113160606},
};

static void measures_are_those_of_scipy_and_scikit_image(void **state)
{
    (void)state;
    static float a[MOST], b[MOST];
    for (size_t i = 0; i < sizeof(recorded) / sizeof(*recorded); i++) {
        int height = recorded[i].height, width = recorded[i].width;
        fill(height, width, recorded[i].ties, recorded[i].is_signed, a, b);
        struct sal_map_agreement got = agreement_of(a, b, height, width, 0.05);
        double plain;
        must(sal_map_ssim(a, b, height, width, 7, &plain, err));
        assert_int_equal(got.top, recorded[i].top);
        assert_near(got.overlap, recorded[i].overlap, 1e-12);
        assert_near(got.spearman, recorded[i].spearman, 1e-12);
        assert_near(got.spearman_magnitude, recorded[i].magnitude, 1e-12);
        assert_near(got.pearson, recorded[i].pearson, 1e-12);
        assert_near(got.ssim, recorded[i].ssim, 1e-7); /* the maps are floats */
        assert_near(got.shift, recorded[i].shift, 1e-10);
        assert_near(plain, recorded[i].plain, 1e-10);
    }
}

/* ---- properties --------------------------------------------------------------------------------- */

/* Kinds: as they come; with many ties; one pixel; rounding apart from a large mean. */
static void draw(int kind, uint64_t seed, float *map)
{
    const int place = (int)(seed * 131 % MOST);
    for (int i = 0; i < MOST; i++) {
        double u = test_random(&seed);
        map[i] = (float)(kind == 0   ? u
                         : kind == 1 ? floor(5 * u) - 2
                         : kind == 2 ? (i == place) * 3.0
                                     : 1000 + u);
    }
}

static void assert_same(const struct sal_map_agreement *a, const struct sal_map_agreement *b)
{
    assert_memory_equal(a, b, sizeof(*a));
}

static void a_map_agrees_with_itself_and_both_ways(void **state)
{
    (void)state;
    static float a[MOST], b[MOST];
    for (int kind = 0; kind < 4; kind++)
        for (int other = 0; other < 4; other++) {
            draw(kind, 3, a);
            draw(other, 5, b);
            struct sal_map_agreement one = agreement_of(a, b, SIDE, SIDE, 0.05);
            struct sal_map_agreement two = agreement_of(b, a, SIDE, SIDE, 0.05);
            assert_same(&one, &two);
            struct sal_map_agreement self = agreement_of(a, a, SIDE, SIDE, 0.05);
            assert_true(self.overlap == 1 && self.spearman == 1 && self.pearson == 1);
            assert_true(self.spearman_magnitude == 1 && self.ssim == 1 && self.shift == 0);
            for (const struct sal_measure *m = sal_measures; m->name; m++)
                assert_true(sal_measure_of(&self, m) == m->same);
            assert_true(one.overlap >= 0 && one.overlap < 1 && fabs(one.pearson) < 1);
            assert_true(fabs(one.spearman) < 1 && one.ssim < 1);
        }
}

static void order_is_all_that_ranks_see(void **state)
{
    (void)state;
    static float a[MOST], b[MOST], bent[MOST], scaled[MOST], turned[MOST];
    draw(0, 3, a);
    draw(1, 5, b);
    for (int i = 0; i < MOST; i++) {
        bent[i] = (float)exp(3 * (double)a[i]);
        scaled[i] = 4 * a[i];
        turned[i] = -a[i];
    }
    struct sal_map_agreement plain = agreement_of(a, b, SIDE, SIDE, 0.05);
    struct sal_map_agreement other = agreement_of(bent, b, SIDE, SIDE, 0.05);
    assert_true(other.spearman == plain.spearman && other.overlap == plain.overlap);
    assert_true(fabs(other.pearson - plain.pearson) > 1e-3);
    other = agreement_of(scaled, b, SIDE, SIDE, 0.05); /* a power of two: exactly */
    assert_same(&other, &plain);
    for (int i = 0; i < MOST; i++)
        scaled[i] = 3 * a[i] + 7;
    assert_near(sal_map_pearson(scaled, b, MOST), plain.pearson, 1e-6);
    other = agreement_of(a, turned, SIDE, SIDE, 0.05); /* evidence for is evidence against */
    assert_true(other.overlap == 1 && other.shift == 0 && other.spearman_magnitude == 1);
    assert_true(other.pearson == -1 && other.spearman == -1 && other.ssim < 0);
}

/* No order of pixels decides. */
static void where_pixels_lie_does_not_matter_to_ranks(void **state)
{
    (void)state;
    static float a[MOST], b[MOST], a_moved[MOST], b_moved[MOST];
    for (int kind = 0; kind < 2; kind++) {
        draw(kind, 3, a);
        draw(1, 5, b);
        for (int i = 0; i < MOST; i++) {
            a_moved[i * 7 % MOST] = a[i];
            b_moved[i * 7 % MOST] = b[i];
        }
        struct sal_map_agreement plain = agreement_of(a, b, SIDE, SIDE, 0.03);
        struct sal_map_agreement moved = agreement_of(a_moved, b_moved, SIDE, SIDE, 0.03);
        assert_true(plain.overlap == moved.overlap && plain.spearman == moved.spearman);
        assert_near(plain.pearson, moved.pearson, 1e-12);
    }
}

static void a_shifted_blob_is_shifted_by_as_much(void **state)
{
    (void)state;
    static float a[MOST], b[MOST];
    for (int i = 0; i < MOST; i++) {
        double y = i / SIDE - 14.0, x = i % SIDE - 12.0;
        a[i] = (float)exp(-(x * x + y * y) / 6);
        b[i] = (float)exp(-((x - 3) * (x - 3) + (y + 2) * (y + 2)) / 6);
    }
    assert_near(agreement_of(a, b, SIDE, SIDE, 0.05).shift, sqrt(13), 1e-4);
}

static void what_has_no_order_has_no_answer(void **state)
{
    (void)state;
    static float blank[MOST], flat[MOST], nearly[MOST], map[MOST];
    draw(0, 3, map);
    for (int i = 0; i < MOST; i++) {
        flat[i] = 0.3F;
        nearly[i] = i % 2 ? 0.3F : nextafterf(0.3F, 1);
    }
    const float *const odd[] = {blank, flat, nearly};
    for (int i = 0; i < 3; i++)
        for (int way = 0; way < 3; way++) {
            const float *b = way == 0 ? map : way == 1 ? odd[i] : flat;
            struct sal_map_agreement got = agreement_of(odd[i], b, SIDE, SIDE, 0.05);
            assert_true(isnan(got.overlap) && isnan(got.spearman) && isnan(got.pearson));
            assert_true(isnan(got.spearman_magnitude) && isnan(got.ssim));
            assert_true(i == 0 ? isnan(got.shift) : got.shift >= 0);
        }
    const float small[4] = {1, 2, 3, 5}, other[4] = {5, 1, 2, 2};
    struct sal_map_agreement got = agreement_of(small, other, 2, 2, 0.05);
    assert_true(isnan(got.ssim) && got.overlap == 0); /* no window has room */
    double ssim;
    must(sal_map_ssim(blank, blank, SIDE, SIDE, 0, &ssim, err));
    assert_true(isnan(ssim));
    must(sal_map_ssim(blank, blank, SIDE, SIDE, 1, &ssim, err));
    assert_true(ssim == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tops_are_counted_and_ties_share),
        cmocka_unit_test(ranks_and_shifts_are_those_of_a_pencil),
        cmocka_unit_test(measures_are_those_of_scipy_and_scikit_image),
        cmocka_unit_test(a_map_agrees_with_itself_and_both_ways),
        cmocka_unit_test(order_is_all_that_ranks_see),
        cmocka_unit_test(where_pixels_lie_does_not_matter_to_ranks),
        cmocka_unit_test(a_shifted_blob_is_shifted_by_as_much),
        cmocka_unit_test(what_has_no_order_has_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
