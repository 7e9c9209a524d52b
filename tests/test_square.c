/* What the Square attack tries: in L2 bumps of the ball's whole length, anywhere in a
 * picture of any shape; and that it keeps only what is better. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attack_models.h"
#include "attacks.h"
#include "random.h"
#include "small_network.h"

enum { MOST = 3 * 20 * 30 };

/* A search over a picture of that shape, of grey 0.2 to 0.8, and a linear network. */
struct bench {
    struct sal_model *model;
    struct sal_probe_question question;
    struct sal_probe_answer answer;
    struct sal_search search;
    struct sal_eta eta;
    float x[MOST], w[MOST], p[MOST];
};

static void open_bench(struct bench *b, int channels, int height, int width)
{
    const float bias = 0.3F;
    const int n = channels * height * width;
    uint64_t draws = 11;
    memset(b, 0, sizeof(*b));
    for (int i = 0; i < n; i++) {
        b->x[i] = (float)(0.2 + 0.6 * test_random(&draws));
        b->w[i] = (float)(test_random(&draws) - 0.5);
    }
    b->model = linear_model(channels, height, width, 1, b->w, &bias, "Sigmoid", NULL);
    b->question = (struct sal_probe_question){.model = b->model, .x = b->x};
    must(sal_search_init(&b->search, sal_probe_find("square"), &b->question, &b->answer,
                         err));
    b->eta.values = calloc((size_t)n, sizeof(float));
    memcpy(b->p, b->search.space.p0, (size_t)n * sizeof(float));
}

static void close_bench(struct bench *b)
{
    free(b->eta.values);
    sal_search_release(&b->search);
    sal_model_close(b->model);
}

static void a_bump_lies_beside_its_negative(void **state)
{
    (void)state;
    float values[15 * 15];
    for (int side = 2; side <= 15; side++) {
        struct sal_eta eta = {.values = values};
        double half[2] = {0};
        sal_eta_init(&eta, side);
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++) {
                double v = (double)values[y * side + x];
                assert_true(y < side / 2 ? v > 0 : v < 0);
                half[y >= side / 2] += v * v;
            }
        assert_true(fabs(half[0] - 1) <= 1e-5 && fabs(half[1] - 1) <= 1e-5);
        /* of squares of height 1 / k^2: the middle has them all, its neighbour all but
         * one */
        int middle = side / 4 * side + side / 2, reach = side / 2;
        double all = 0;
        for (int k = 0; k <= reach; k++)
            all += 1.0 / (k + 1) / (k + 1);
        if (side >= 4)
            assert_true(fabs((double)values[middle + 1] / (double)values[middle] -
                             (all - 1) / all) <= 1e-5);
    }
}

/* Each query's point is in the ball, and as far out as it may be. */
static void every_query_uses_the_whole_length(void **state)
{
    (void)state;
    static const int shapes[][3] = {
        {1, 1, 1}, {1, 1, 9}, {3, 20, 30}, {3, 30, 8}, {1, 2, 2}};
    static struct bench b;
    for (int shape = 0; shape < 5; shape++) {
        const int *s = shapes[shape];
        open_bench(&b, s[0], s[1], s[2]);
        const double eps = 0.15; /* the range is further */
        sal_search_aim(&b.search, (struct sal_ball){SAL_L2, eps});
        for (int i = 0; i < 60; i++) {
            if (i == 0)
                sal_square_l2_begin(&b.search, &b.eta, b.p);
            else
                sal_square_l2_change(&b.search, &b.eta, i, 0.4 / (1 + i), b.p);
            double length = sal_space_norm(&b.search.space, SAL_L2, b.p);
            if (!(length <= eps && length >= eps * (1 - 1e-5)))
                fail_msg("%dx%dx%d, query %d: %.9g of %g", s[0], s[1], s[2], i, length,
                         eps);
        }
        close_bench(&b);
    }
}

/* Windows lie anywhere, the last row and column included, and no larger than the
 * picture; where nothing is changed yet one has the whole length. */
static void a_window_may_lie_in_any_corner(void **state)
{
    (void)state;
    enum { HEIGHT = 9, WIDTH = 14, SIZE = HEIGHT * WIDTH };
    static struct bench b;
    int seen[SIZE] = {0};
    open_bench(&b, 1, HEIGHT, WIDTH);
    const float *p0 = b.search.space.p0;
    sal_search_aim(&b.search, (struct sal_ball){SAL_L2, 0.1});
    for (int i = 1; i < 600; i++) {
        int touched = 0;
        memcpy(b.p, p0, SIZE * sizeof(float));
        sal_square_l2_change(&b.search, &b.eta, i, 3.0 / SIZE, b.p);
        for (int k = 0; k < SIZE; k++) {
            seen[k] += b.p[k] != p0[k];
            touched += b.p[k] != p0[k];
        }
        assert_int_equal(touched, 9); /* the least window is of three by three */
    }
    assert_true(seen[0] && seen[WIDTH - 1] && seen[SIZE - WIDTH] && seen[SIZE - 1]);
    sal_square_l2_change(&b.search, &b.eta, 1, 1, b.p); /* all of it */
    close_bench(&b);
}

/* What one window gives up another has: where neither is, the change stays what it was.
 */
static void length_moves_from_window_to_window(void **state)
{
    (void)state;
    enum { HEIGHT = 12, WIDTH = 12, SIZE = HEIGHT * WIDTH };
    static struct bench b;
    float before[SIZE];
    int cleared = 0;
    open_bench(&b, 1, HEIGHT, WIDTH);
    const float *p0 = b.search.space.p0;
    sal_search_aim(&b.search, (struct sal_ball){SAL_L2, 0.2});
    sal_square_l2_begin(&b.search, &b.eta, b.p);
    for (int i = 1; i < 50; i++) {
        int changed = 0;
        memcpy(before, b.p, sizeof(before));
        sal_square_l2_change(&b.search, &b.eta, i, 9.0 / SIZE, b.p);
        for (int k = 0; k < SIZE; k++) {
            double was = (double)before[k] - (double)p0[k],
                   is = (double)b.p[k] - (double)p0[k];
            cleared += was != 0 && is == 0;
            changed += fabs(is - was) > 1e-4 * fabs(was) + 1e-6;
        }
        assert_true(changed <= 2 * 9); /* two windows of three by three */
    }
    assert_true(cleared > 50);
    close_bench(&b);
}

/* Where half of the picture is black a bump that would go below is cut off; the next window has
 * what is missing. */
static void what_the_range_holds_back_is_used_elsewhere(void **state)
{
    (void)state;
    static struct bench b;
    const double eps = 0.15;
    double least = INFINITY;
    open_bench(&b, 1, 20, 30);
    for (int i = 0; i < 600; i += 2)
        b.search.space.p0[i] = 0;
    memcpy(b.p, b.search.space.p0, 600 * sizeof(float));
    sal_search_aim(&b.search, (struct sal_ball){SAL_L2, eps});
    sal_square_l2_begin(&b.search, &b.eta, b.p);
    for (int i = 1; i < 60; i++) {
        sal_square_l2_change(&b.search, &b.eta, i, 0.02, b.p);
        least = fmin(least, sal_space_norm(&b.search.space, SAL_L2, b.p));
    }
    if (!(least >= 0.6 * eps))
        fail_msg("only %g of %g is used", least, eps);
    close_bench(&b);
}

/* The difference of two halves of the picture. Its best margin falls with queries, in
 * either norm, and with enough of them it flips what three times the least radius
 * allows. */
static void square_finds_what_is_there(void **state)
{
    (void)state;
    enum { SIDE = 12, SIZE = SIDE * SIDE };
    static struct {
        struct sal_model *model;
        float x[SIZE], w[SIZE];
    } b;
    const float bias = 0.05F;
    for (int i = 0; i < SIZE; i++) {
        b.x[i] = 0.5F;
        b.w[i] = (i < SIZE / 2 ? 1.0F : -1.0F) / SIZE;
    }
    b.model = linear_model(1, SIDE, SIDE, 1, b.w, &bias, "Sigmoid", NULL);
    static const char *const asks[] = {"norm=l2 eps=1.8", "norm=linf eps=0.15"};
    for (int i = 0; i < 2; i++) {
        double margin = INFINITY;
        for (int queries = 1; queries <= 600; queries *= 24) {
            char settings[80];
            snprintf(settings, sizeof(settings), "%s control=0 queries=%d", asks[i],
                     queries);
            struct sal_probe_answer a = probe_of(
                b.model, b.x, "square", (struct probing){.settings = settings});
            assert_int_equal(a.backwards, 0);
            assert_true(a.best_margin <= margin);
            margin = a.best_margin;
            if (queries > 500)
                assert_true(a.flipped && margin < -0.02); /* 0.1 below 0 is the best there is */
            assert_answer_is_honest(b.model, b.x, 0, &a);
            sal_probe_answer_release(&a);
        }
    }
    sal_model_close(b.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bump_lies_beside_its_negative),
        cmocka_unit_test(every_query_uses_the_whole_length),
        cmocka_unit_test(a_window_may_lie_in_any_corner),
        cmocka_unit_test(length_moves_from_window_to_window),
        cmocka_unit_test(what_the_range_holds_back_is_used_elsewhere),
        cmocka_unit_test(square_finds_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
