/* Attacks on models whose smallest changes are known in closed form: half spaces, with and
 * without the range of the picture in the way. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attack_models.h"
#include "random.h"
#include "small_network.h"

/* ---- half spaces ------------------------------------------------------------------------- */

enum { SIZE = 60 }; /* pixels */

struct half {
    int height, width;
    float w[SIZE], x[SIZE], b;
    double f; /* at x */
};

static uint64_t draws = 7;

static double uniform(double low, double high)
{
    return low + (high - low) * test_random(&draws);
}

/* Weights of either sign, some zero; a share of the picture at the ends of its range; f of
 * that size at x. */
static struct half make_half(double border, double f)
{
    struct half h = {.height = 6, .width = 10, .f = f};
    double sum = 0;
    for (int i = 0; i < SIZE; i++) {
        h.w[i] = (float)(i % 17 == 3 ? 0 : uniform(-1, 1));
        h.x[i] = (float)(uniform(0, 1) < border ? (i % 2) : uniform(0.2, 0.8));
        sum += (double)h.w[i] * (double)h.x[i];
    }
    h.b = (float)(f - sum);
    h.f = sum + (double)h.b;
    return h;
}

static struct sal_model *model_of(const struct half *h)
{
    return linear_model(1, h->height, h->width, 1, h->w, &h->b, "Sigmoid", NULL);
}

static double room(const struct half *h, int i)
{
    bool down = (h->w[i] > 0) == (h->f > 0);
    return down ? (double)h->x[i] : 1 - (double)h->x[i];
}

/* What the best change of that size takes off |f|: Linf at distance t, L2 with multiplier t. */
static double taken(const struct half *h, enum sal_norm norm, double t, double *length)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < SIZE; i++) {
        double w = fabs((double)h->w[i]), step = norm == SAL_LINF ? t : t * w;
        step = fmin(step, room(h, i)) * (w > 0);
        sum += w * step;
        squares += step * step;
    }
    *length = norm == SAL_LINF ? t : sqrt(squares);
    return sum;
}

/* The distance of the half space within the range of the picture, by bisection. */
static double optimum(const struct half *h, enum sal_norm norm)
{
    double low = 0, high = 1e3, length;
    for (int i = 0; i < 200; i++) {
        double middle = (low + high) / 2;
        *(taken(h, norm, middle, &length) < fabs(h->f) ? &low : &high) = middle;
    }
    taken(h, norm, high, &length);
    return length;
}

static double length_of(const struct sal_probe_answer *a, enum sal_norm norm)
{
    return norm == SAL_LINF ? a->distance.linf : a->distance.l2;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void minimum_norms_of_half_spaces_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings;
        double most; /* times the optimum */
    } attacks[] = {
        {"ddn", "", 1.01},
        {"fmn", "norm=l2", 1.01},
        {"fmn", "norm=linf", 1.01},
        {"deepfool", "norm=l2", 1.01},
        {"deepfool", "norm=linf", 1.01},
        {"mineps", "norm=l2", 1.01},
        {"mineps", "norm=linf", 1.01},
        {"mineps", "norm=linf attack=pgd", 1.05},
        {"mineps", "norm=linf attack=fgsm", 1.05},
    };
    for (int i = 0; i < 12; i++) {
        struct half h = make_half(0.2 * (i % 3), i % 2 ? 0.5 : -0.3);
        struct sal_model *model = model_of(&h);
        for (size_t k = 0; k < sizeof(attacks) / sizeof(*attacks); k++) {
            struct sal_probe_answer a =
                probe_of(model, h.x, attacks[k].name,
                         (struct probing){.settings = attacks[k].settings});
            double best = optimum(&h, a.norm), got = length_of(&a, a.norm);
            assert_answer_is_honest(model, h.x, 0, &a);
            assert_true(a.flipped);
            if (!(got >= best * (1 - 1e-5) && got <= best * attacks[k].most))
                fail_msg("%s %s: %g, the optimum is %g", attacks[k].name, attacks[k].settings,
                         got, best);
            sal_probe_answer_release(&a);
        }
        sal_model_close(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimum_norms_of_half_spaces_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
