/* Gradients of whole models: along the gradient, random directions and single pixels the
 * double twin's gradient is the central difference, and the float one is the double one up to
 * rounding. SLOW in the environment adds the larger models. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data.h"
#include "gradient.h"
#include "twin.h"

/* A ReLU that rounding puts on the other side of zero moves single pixels: how far the float
 * gradient may be off, of its length. */
#define APART 2e-2

enum { DIRECTIONS = 16, TRIES_MAX = 2 * DIRECTIONS };

struct look {
    const char *name;
    struct twin_case twin;
    struct twin_result exact;
    double *x, *dy, *moved;
    int64_t n;
    double length; /* of the gradient */
    uint64_t dice;
};

/* Waves of several lengths, as a picture has them, so that activations are alike to
 * those of real inputs. */
static void draw(double *x, int64_t n, uint64_t *dice)
{
    double phase = 6 * test_random(dice);
    for (int64_t i = 0; i < n; i++)
        x[i] = 0.6 * sin(0.011 * (double)i + phase) + 0.4 * sin(0.37 * (double)i) +
               0.2 * (test_random(dice) - 0.5);
}

static double length(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i] * v[i];
    return sqrt(sum);
}

/* <dy, y> at x + t v, in double. */
static double objective(struct look *l, const double *v, double t)
{
    struct twin_case forward = l->twin;
    struct twin_result result;
    for (int64_t i = 0; i < l->n; i++)
        l->moved[i] = l->x[i] + t * v[i];
    forward.input[0] = l->moved;
    forward.dy = NULL;
    if (!sal_twin_double(&forward, &result))
        fail_msg("%s: %s", l->name, result.message);
    double sum = 0;
    for (int64_t i = 0; i < result.n_y; i++)
        sum += l->dy[i] * result.y[i];
    twin_result_release(&result);
    return sum;
}

static double slope(struct look *l, const double *v, double h)
{
    return (objective(l, v, h) - objective(l, v, -h)) / (2 * h);
}

/* A unit vector: first along the gradient, then dense and random, or one pixel. */
static void choose(struct look *l, double *v, int which)
{
    for (int64_t i = 0; i < l->n; i++)
        v[i] = which ? 0 : l->exact.dx[0][i] / l->length;
    if (!which)
        return;
    if (which % 2) {
        v[(int64_t)(test_random(&l->dice) * (double)l->n)] = 1;
        return;
    }
    for (int64_t i = 0; i < l->n; i++)
        v[i] = test_random(&l->dice) - 0.5;
    double size = length(v, l->n);
    for (int64_t i = 0; i < l->n; i++)
        v[i] /= size;
}

/* False where the way crosses a kink: two step lengths disagree. */
static bool check_direction(struct look *l, const double *v)
{
    const double h = 1e-5;
    double whole = slope(l, v, h), half = slope(l, v, h / 2), analytic = 0;
    if (!(fabs(whole - half) <= 1e-6 * l->length))
        return false;
    for (int64_t i = 0; i < l->n; i++)
        analytic += l->exact.dx[0][i] * v[i];
    if (!(fabs(analytic - whole) <= 1e-5 * l->length))
        fail_msg("%s: the slope is %.9g, differences say %.9g, |gradient| %.3g", l->name,
                 analytic, whole, l->length);
    return true;
}

static void check_directions(struct look *l)
{
    double *v = malloc(sizeof(*v) * (size_t)l->n);
    int checked = 0, tried = 0;
    for (; checked < DIRECTIONS && tried < TRIES_MAX; tried++) {
        choose(l, v, tried);
        checked += check_direction(l, v);
    }
    print_message("%-24s %d directions, %d crossed a kink", l->name, checked,
                  tried - checked);
    free(v);
    assert_int_equal(checked, DIRECTIONS);
}

static void check_float(const struct look *l)
{
    struct twin_result single;
    if (!sal_twin_float(&l->twin, &single))
        fail_msg("%s: %s", l->name, single.message);
    double far = 0;
    for (int64_t i = 0; i < l->n; i++)
        far += pow(single.dx[0][i] - l->exact.dx[0][i], 2);
    double apart = sqrt(far) / l->length;
    print_message("; float is off by %.1e of |gradient|\n", apart);
    if (!(apart <= APART))
        fail_msg("%s: the float gradient is off by %g", l->name, apart);
    twin_result_release(&single);
}

static void check_model(const char *name, const char *path)
{
    struct sal_file file;
    struct sal_error err;
    struct look l = {.name = name, .dice = 11};
    if (sal_file_map(&file, path, (size_t)1 << 30, &err))
        fail_msg("%s", err.text);
    l.twin = (struct twin_case){.model = file.bytes, .threads = 2, .apart = APART};
    int64_t most = 3 * 512 * 512;
    l.x = calloc((size_t)most, sizeof(*l.x));
    l.moved = calloc((size_t)most, sizeof(*l.moved));
    draw(l.x, most, &l.dice);
    l.twin.input[0] = l.x;
    if (!sal_twin_double(&l.twin, &l.exact))
        fail_msg("%s: %s", name, l.exact.message);
    l.n = l.exact.n_input[0];
    l.dy = calloc((size_t)l.exact.n_y, sizeof(*l.dy));
    for (int64_t i = 0; i < l.exact.n_y; i++)
        l.dy[i] = test_random(&l.dice) - 0.5;
    l.twin.dy = l.dy;
    twin_result_release(&l.exact);
    if (!sal_twin_double(&l.twin, &l.exact))
        fail_msg("%s: %s", name, l.exact.message);
    l.length = length(l.exact.dx[0], l.n);
    assert_true(l.length > 0);
    check_directions(&l);
    check_float(&l);
    twin_result_release(&l.exact);
    free(l.x);
    free(l.moved);
    free(l.dy);
    sal_file_close(&file);
}

static void the_samples_model_descends_as_its_gradient_says(void **state)
{
    (void)state;
    check_model("phantom", "samples/models/phantom.onnx");
}

static void real_models_descend_as_their_gradients_say(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool slow;
    } models[] = {
        {"cifar10_ImageClassifier", false}, {"mnist_cntk", false}, {"mnist_dianna", false},
        {"squeezenet1_1_fp32", true},       {"tm_cxr3", true},
        {"edgepneumonet_logit", true},      {"mobilenet_v2_1.0_224", true},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
        char relative[128], path[1024];
        snprintf(relative, sizeof(relative), "models/%s.onnx", models[i].name);
        if ((models[i].slow && !getenv("SLOW")) ||
            !shared_data(relative, path, sizeof(path)))
            continue;
        any = true;
        check_model(models[i].name, path);
    }
    if (!any)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_samples_model_descends_as_its_gradient_says),
        cmocka_unit_test(real_models_descend_as_their_gradients_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
