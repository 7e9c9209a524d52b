#include "gradient.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "twin.h"

/* n values spread evenly over low..high, shuffled: none closer to another, or to a
 * round number, than a quarter of the spacing. */
static double *spread(int64_t n, double low, double high, uint64_t *state)
{
    double *x = malloc(sizeof(*x) * (size_t)(n ? n : 1));
    double step = (high - low) / (double)(n ? n : 1);
    for (int64_t i = 0; i < n; i++)
        x[i] = low + step * ((double)i + 0.3 + 0.2 * test_random(state)) + 0.0137 * step;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(test_random(state) * (double)(i + 1));
        double swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
    return x;
}

struct setting {
    const struct gradient_case *c;
    struct onnx_build build;
    struct twin_case twin;
    double *input[TWIN_INPUTS];
    int64_t n_input[TWIN_INPUTS];
    int n_inputs;
    double *dy;
    uint64_t state;
};

static void open_setting(struct setting *s, const struct gradient_case *c)
{
    *s = (struct setting){.c = c, .state = 7};
    onnx_build_init(&s->build, c->opset);
    c->build(&s->build);
    s->twin.model = onnx_build_finish(&s->build);
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_error err = {0};
    if (sal_onnx_parse(&onnx, s->twin.model, c->name, &err) ||
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err))
        fail_msg("%s: %s", c->name, err.text);
    double low = c->low == 0 && c->high == 0 ? -2 : c->low;
    double high = c->low == 0 && c->high == 0 ? 2 : c->high;
    s->n_inputs = graph.n_inputs;
    for (int i = 0; i < graph.n_inputs; i++) {
        s->n_input[i] = sal_shape_count(&graph.values[graph.inputs[i]].tensor.shape);
        s->twin.input[i] = s->input[i] = spread(s->n_input[i], low, high, &s->state);
    }
    int64_t n_y = sal_shape_count(&graph.values[graph.outputs[0]].tensor.shape);
    s->twin.dy = s->dy = spread(n_y, -1, 1, &s->state);
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
}

static void close_setting(struct setting *s)
{
    onnx_build_release(&s->build);
    for (int i = 0; i < s->n_inputs; i++)
        free(s->input[i]);
    free(s->dy);
}

static void must(bool ok, const struct setting *s, const struct twin_result *result)
{
    if (!ok)
        fail_msg("%s: %s", s->c->name, result->message);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double norm(const double *a, int64_t n)
{
    return sqrt(dot(a, a, n));
}

/* <dy, y(x)> in double. */
static double objective(struct setting *s)
{
    struct twin_case forward = s->twin;
    forward.dy = NULL;
    struct twin_result result;
    must(sal_twin_double(&forward, &result), s, &result);
    double value = dot(s->dy, result.y, result.n_y);
    twin_result_release(&result);
    return value;
}

static void check_differences(struct setting *s, const struct twin_result *exact)
{
    for (int i = 0; i < s->n_inputs; i++)
        for (int64_t j = 0; exact->dx[i] && j < s->n_input[i]; j++) {
            double x = s->input[i][j], h = 1e-5 * fmax(1, fabs(x));
            s->input[i][j] = x + h;
            double above = objective(s);
            s->input[i][j] = x - h;
            double below = objective(s);
            s->input[i][j] = x;
            double numeric = (above - below) / (2 * h), g = exact->dx[i][j];
            if (!(fabs(g - numeric) <= 1e-7 + 1e-6 * fabs(g)))
                fail_msg("%s: d/dx%d[%lld] is %.12g, differences say %.12g", s->c->name, i,
                         (long long)j, g, numeric);
        }
}

static void check_precision(const struct setting *s, const struct twin_result *single,
                            const struct twin_result *exact)
{
    double k = 1;
    for (int i = 0; i < s->n_inputs; i++)
        k += (double)s->n_input[i];
    for (int64_t i = 0; i < exact->n_y; i++)
        if (!(fabs(single->y[i] - exact->y[i]) <=
              1e-5 * (1 + fabs(exact->y[i])) * fmax(1, sqrt(k / 256))))
            fail_msg("%s: y[%lld] is %.9g in float, %.9g in double", s->c->name,
                     (long long)i, single->y[i], exact->y[i]);
    for (int i = 0; i < s->n_inputs; i++) {
        if (!exact->dx[i])
            continue;
        double rms = norm(exact->dx[i], s->n_input[i]) / sqrt((double)s->n_input[i]);
        for (int64_t j = 0; j < s->n_input[i]; j++) {
            double g = exact->dx[i][j];
            if (!(fabs(single->dx[i][j] - g) <= 1e-6 * rms * sqrt(k) + 1e-5 * fabs(g)))
                fail_msg("%s: d/dx%d[%lld] is %.9g in float, %.9g in double", s->c->name,
                         i, (long long)j, single->dx[i][j], g);
        }
    }
}

void check_gradient(const struct gradient_case *c)
{
    struct setting s;
    struct twin_result single, exact;
    open_setting(&s, c);
    must(sal_twin_float(&s.twin, &single), &s, &single);
    must(sal_twin_double(&s.twin, &exact), &s, &exact);
    assert_int_equal(single.n_y, exact.n_y);
    check_precision(&s, &single, &exact);
    check_differences(&s, &exact);
    twin_result_release(&single);
    twin_result_release(&exact);
    close_setting(&s);
}

/* The case is linear in its first input with the others held. */
static void adjoint(const struct setting *s, const struct twin_result *result,
                    double tolerance)
{
    double forward = dot(result->y, s->dy, result->n_y);
    double back = dot(s->input[0], result->dx[0], s->n_input[0]);
    double scale = norm(result->y, result->n_y) * norm(s->dy, result->n_y);
    if (!(fabs(forward - back) <= tolerance * (scale + 1e-30)))
        fail_msg("%s: <Ax, y> is %.12g, <x, A'y> is %.12g", s->c->name, forward, back);
}

void check_adjoint(const struct gradient_case *c)
{
    struct setting s;
    struct twin_result result;
    open_setting(&s, c);
    must(sal_twin_float(&s.twin, &result), &s, &result);
    adjoint(&s, &result, 1e-6);
    twin_result_release(&result);
    must(sal_twin_double(&s.twin, &result), &s, &result);
    adjoint(&s, &result, 1e-13);
    twin_result_release(&result);
    close_setting(&s);
}
