/* In-painting: solved exactly, and as a baseline of occlusion. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inpaint.h"
#include "small_network.h"

static const struct sal_model_input input = {
    .layout = SAL_LAYOUT_NCHW, .channels = C, .height = H, .width = W};

/* By elimination: n equations of n unknowns, rows of n + 1. */
static void eliminate(double *a, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++) {
            double factor = i == k ? 0 : a[i * (n + 1) + k] / a[k * (n + 1) + k];
            for (int j = k; j <= n && factor != 0; j++)
                a[i * (n + 1) + j] -= factor * a[k * (n + 1) + j];
        }
}

/* One channel of the hole, every pixel the mean of its neighbours. */
static void solve(const float *x, int top, int left, int bottom, int right, double *out)
{
    int wide = right - left, n = (bottom - top) * wide;
    double *a = calloc((size_t)n * (size_t)(n + 1), sizeof(*a));
    for (int k = 0; k < n; k++) {
        int y = top + k / wide, u = left + k % wide;
        for (int v = y - 1; v <= y + 1; v++)
            for (int c = u - 1; c <= u + 1; c++) {
                if (v < 0 || v >= H || c < 0 || c >= W || (v == y && c == u))
                    continue;
                double weight = v == y || c == u ? 1.0 / 6 : 1.0 / 12;
                bool inside = v >= top && v < bottom && c >= left && c < right;
                a[k * (n + 1) + k] += weight;
                if (inside)
                    a[k * (n + 1) + (v - top) * wide + c - left] -= weight;
                else
                    a[k * (n + 1) + n] += weight * (double)x[v * W + c];
            }
    }
    eliminate(a, n);
    for (int k = 0; k < n; k++)
        out[k] = a[k * (n + 1) + n] / a[k * (n + 1) + k];
    free(a);
}

static void a_hole_is_the_mean_of_its_neighbours(void **state)
{
    (void)state;
    static const int holes[][4] = {{5, 6, 12, 14}, {0, 0, 6, 5},   {16, 13, 22, 20},
                                   {3, 0, 19, 20}, {10, 10, 11, 11}};
    for (size_t i = 0; i < sizeof(holes) / sizeof(*holes); i++) {
        const int *h = holes[i];
        float x[N];
        double expected[PIXELS], worst = 0;
        memcpy(x, an_image(), sizeof(x));
        for (int k = 0; k < N; k++)
            if (k % PIXELS / W >= h[0] && k % PIXELS / W < h[2] && k % W >= h[1] &&
                k % W < h[3])
                x[k] = 7;
        sal_inpaint(&input, h[0], h[1], h[2], h[3], x);
        for (int c = 0; c < C; c++) {
            solve(an_image() + c * PIXELS, h[0], h[1], h[2], h[3], expected);
            for (int k = 0; k < (h[2] - h[0]) * (h[3] - h[1]); k++) {
                int wide = h[3] - h[1];
                double own = (double)x[c * PIXELS + (h[0] + k / wide) * W + h[1] + k % wide];
                worst = fmax(worst, fabs(own - expected[k]));
            }
        }
        assert_true(worst <= 1e-5);
        for (int k = 0; k < N; k++)
            if (!(k % PIXELS / W >= h[0] && k % PIXELS / W < h[2] && k % W >= h[1] &&
                  k % W < h[3]))
                assert_true(x[k] == an_image()[k]);
    }
}

/* A slope goes on through the hole. */
static void a_slope_goes_on(void **state)
{
    (void)state;
    float x[N];
    for (int k = 0; k < N; k++)
        x[k] = (float)(k % W) * 0.1F + (float)(k % PIXELS / W) * 0.03F;
    float before[N];
    memcpy(before, x, sizeof(x));
    for (int y = 4; y < 15; y++)
        for (int u = 3; u < 12; u++)
            x[y * W + u] = -3;
    sal_inpaint(&input, 4, 3, 15, 12, x);
    assert_true(apart(x, before, N) <= 1e-5);
}

static void occlusion_in_paints_its_windows(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map = map_of(
        model, "occlusion", (struct asking){.settings = "window=4 stride=4 baseline=inpaint"});
    float x[N];
    double expected[16];
    memcpy(x, an_image(), sizeof(x));
    for (int c = 0; c < C; c++) {
        solve(an_image() + c * PIXELS, 8, 12, 12, 16, expected);
        for (int k = 0; k < 16; k++)
            x[c * PIXELS + (8 + k / 4) * W + 12 + k % 4] = (float)expected[k];
    }
    double difference = map.score - score_of(model, x);
    assert_true(fabs((double)map.values[9 * W + 13] - difference) <= 1e-5);
    assert_true(fabs(difference) > 1e-3);
    sal_map_release(&map);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole_is_the_mean_of_its_neighbours),
        cmocka_unit_test(a_slope_goes_on),
        cmocka_unit_test(occlusion_in_paints_its_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
