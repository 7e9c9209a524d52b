#include "space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const sal_norm_names[] = {"linf", "l2", NULL};

/* ---- opening ------------------------------------------------------------------------------ */

/* The picture behind an input; what lies outside 0..1 by rounding alone is put inside. */
static float picture_of(const struct sal_preprocessing *spec, int c, double x)
{
    double slack = 1e-5, v = x * spec->std[c] + spec->mean[c];
    double p = (v - spec->range[0]) / (spec->range[1] - spec->range[0]);
    if (p < 0 && p > -slack)
        p = 0;
    return (float)(p > 1 && p < 1 + slack ? 1 : p);
}

static void fill(struct sal_space *space, const struct sal_probe_question *question)
{
    const struct sal_preprocessing *spec = sal_model_preprocessing(question->model);
    for (int k = 0; k < space->planes; k++)
        for (int64_t i = 0; i < space->pixels; i++) {
            int64_t at = k * space->pixels + i;
            float p = picture_of(spec, k, (double)space->x0[sal_input_place(space->input, k, i)]);
            bool fixed = question->mask && !question->mask[i];
            space->p0[at] = p;
            space->low[at] = fixed || p < 0 ? p : 0;
            space->high[at] = fixed || p > 1 ? p : 1;
        }
}

enum sal_status sal_space_init(struct sal_space *space,
                               const struct sal_probe_question *question,
                               struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    const struct sal_preprocessing *spec = sal_model_preprocessing(question->model);
    *space = (struct sal_space){.input = input, .x0 = question->x};
    if (input->channels > SAL_SPACE_CHANNELS_MAX)
        return sal_fail(err, SAL_UNSUPPORTED, "a probe alters pictures of up to %d channels, "
                        "the model reads %d", SAL_SPACE_CHANNELS_MAX, input->channels);
    for (int c = 0; c < input->channels; c++) {
        space->scale[c] = (spec->range[1] - spec->range[0]) / spec->std[c];
        if (space->scale[c] == 0 || !isfinite(space->scale[c]))
            return sal_fail(err, SAL_UNSUPPORTED,
                            "the preprocessing makes all levels of channel %d the same", c);
    }
    space->planes = question->grey || spec->channels == SAL_GRAY3 ? 1 : input->channels;
    space->pixels = (int64_t)input->height * input->width;
    space->n = space->planes * space->pixels;
    space->p0 = calloc((size_t)space->n * 3, sizeof(float));
    if (!space->p0)
        return sal_fail(err, SAL_LIMIT, "no memory for a picture of %d x %d", input->width,
                        input->height);
    space->low = space->p0 + space->n;
    space->high = space->low + space->n;
    fill(space, question);
    return SAL_OK;
}

void sal_space_release(struct sal_space *space)
{
    free(space->p0);
    *space = (struct sal_space){0};
}

/* ---- inputs and gradients ------------------------------------------------------------------ */

void sal_space_input(const struct sal_space *space, const float *p, sal_real *x)
{
    for (int c = 0; c < space->input->channels; c++) {
        const int64_t plane = space->planes == 1 ? 0 : c * space->pixels;
        for (int64_t i = 0; i < space->pixels; i++) {
            int64_t at = sal_input_place(space->input, c, i);
            double change = (double)p[plane + i] - (double)space->p0[plane + i];
            x[at] = change == 0 ? space->x0[at]
                                : (sal_real)((double)space->x0[at] + change * space->scale[c]);
        }
    }
}

void sal_space_slope(const struct sal_space *space, const sal_real *dx, bool whole, float *g)
{
    memset(g, 0, (size_t)space->n * sizeof(*g));
    for (int c = 0; c < space->input->channels; c++) {
        const int64_t plane = space->planes == 1 ? 0 : c * space->pixels;
        for (int64_t i = 0; i < space->pixels; i++)
            g[plane + i] += (float)((double)dx[sal_input_place(space->input, c, i)] *
                                    space->scale[c]);
    }
    for (int64_t i = 0; i < space->n; i++)
        if ((!whole && space->low[i] == space->high[i]) || !isfinite(g[i]))
            g[i] = 0;
}

void sal_space_gradient(const struct sal_space *space, const sal_real *dx, float *g)
{
    sal_space_slope(space, dx, false, g);
}

/* ---- norms ---------------------------------------------------------------------------------- */

double sal_vector_norm(enum sal_norm norm, const float *v, int64_t n)
{
    double most = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double a = fabs((double)v[i]);
        most = a > most ? a : most;
        sum += a * a;
    }
    return norm == SAL_LINF ? most : sqrt(sum);
}

double sal_vector_dual(enum sal_norm norm, const float *v, int64_t n)
{
    double sum = 0;
    if (norm == SAL_L2)
        return sal_vector_norm(SAL_L2, v, n);
    for (int64_t i = 0; i < n; i++)
        sum += fabs((double)v[i]);
    return sum;
}

double sal_vector_dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

double sal_space_norm(const struct sal_space *space, enum sal_norm norm, const float *p)
{
    double most = 0, sum = 0;
    for (int64_t i = 0; i < space->n; i++) {
        double a = fabs((double)p[i] - (double)space->p0[i]);
        most = a > most ? a : most;
        sum += a * a;
    }
    return norm == SAL_LINF ? most : sqrt(sum);
}

struct sal_distance sal_space_distance(const struct sal_space *space, const float *p)
{
    struct sal_distance d = {.linf = sal_space_norm(space, SAL_LINF, p),
                             .l2 = sal_space_norm(space, SAL_L2, p)};
    for (int64_t i = 0; i < space->pixels; i++) {
        bool changed = false;
        for (int k = 0; k < space->planes; k++)
            changed |= p[k * space->pixels + i] != space->p0[k * space->pixels + i];
        d.changed += changed;
    }
    return d;
}

/* ---- box and ball ---------------------------------------------------------------------------- */

static float clamp(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

/* The float nearest to p0 + step that is not further from p0 than |step|, in double. */
static float at_most(float p0, double step)
{
    float p = (float)((double)p0 + step);
    return fabs((double)p - (double)p0) > fabs(step) ? nextafterf(p, p0) : p;
}

static void project_linf(const struct sal_space *space, double eps, float *p)
{
    for (int64_t i = 0; i < space->n; i++) {
        float p0 = space->p0[i], low = space->low[i], high = space->high[i];
        float v = clamp(p[i], low, high);
        if (fabs((double)v - (double)p0) > eps)
            v = clamp(at_most(p0, v > p0 ? eps : -eps), low, high);
        p[i] = v;
    }
}

/* p0 + s (p - p0) in the box; the square of its distance in all, and of the part that the
 * box holds back. Writes nothing where out is NULL. */
static double scaled(const struct sal_space *space, const float *p, double s, double *held,
                     float *out)
{
    double sum = 0, fixed = 0;
    for (int64_t i = 0; i < space->n; i++) {
        double p0 = (double)space->p0[i], want = s * ((double)p[i] - p0);
        double least = (double)space->low[i] - p0, most = (double)space->high[i] - p0;
        double step = want < least ? least : want > most ? most : want;
        sum += step * step;
        fixed += step != want ? step * step : 0;
        if (out)
            out[i] = clamp((float)(p0 + step), space->low[i], space->high[i]);
    }
    if (held)
        *held = fixed;
    return sum;
}

/* The nearest point scales, and holds back in the box, so that the length is eps: once it
 * is known which elements the box holds, the scale of the others follows. */
static void project_l2(const struct sal_space *space, double eps, float *p)
{
    enum { ROUNDS = 40 };
    double held, s = 1, sum = scaled(space, p, 1, &held, NULL);
    for (int round = 0; round < ROUNDS && sum > eps * eps; round++) {
        double left = eps * eps - held, free_sum = (sum - held) / (s * s);
        double next = left > 0 && free_sum > 0 ? sqrt(left / free_sum) : s * 0.5;
        if (next >= s * (1 - 1e-12))
            break;
        s = next;
        sum = scaled(space, p, s, &held, NULL);
    }
    scaled(space, p, s, NULL, p);
    for (double shrink = 1e-9; sal_space_norm(space, SAL_L2, p) > eps; shrink *= 2)
        for (int64_t i = 0; i < space->n; i++) {
            double step = ((double)p[i] - (double)space->p0[i]) * (1 - shrink);
            p[i] = at_most(space->p0[i], step);
        }
}

void sal_space_project(const struct sal_space *space, struct sal_ball ball, float *p)
{
    if (ball.eps <= 0)
        memcpy(p, space->p0, (size_t)space->n * sizeof(*p));
    else if (ball.norm == SAL_L2 && isfinite(ball.eps))
        project_l2(space, ball.eps, p);
    else
        project_linf(space, ball.eps, p);
}

void sal_space_ray(const struct sal_space *space, const float *p, double t, float *out)
{
    for (int64_t i = 0; i < space->n; i++) {
        double p0 = (double)space->p0[i];
        float v = (float)(p0 + t * ((double)p[i] - p0));
        out[i] = t == 1 ? p[i] : clamp(v, space->low[i], space->high[i]);
    }
}

/* ---- the straight case -------------------------------------------------------------------------- */

/* How far element i goes for a step of size t. */
static double step_of(const struct sal_space *space, enum sal_norm norm, const float *g,
                      int64_t i, double t)
{
    double slope = (double)g[i], p0 = (double)space->p0[i];
    if (slope == 0)
        return 0;
    double step = norm == SAL_L2 ? -t * slope : slope > 0 ? -t : t;
    double least = (double)space->low[i] - p0, most = (double)space->high[i] - p0;
    return step < least ? least : step > most ? most : step;
}

/* What a step of size t changes f by. */
static double gain_of(const struct sal_space *space, enum sal_norm norm, const float *g,
                      double t)
{
    double sum = 0;
    for (int64_t i = 0; i < space->n; i++)
        sum += (double)g[i] * step_of(space, norm, g, i, t);
    return sum;
}

static double put_step(const struct sal_space *space, enum sal_norm norm, const float *g,
                       double t, float *out)
{
    for (int64_t i = 0; i < space->n; i++) {
        double step = step_of(space, norm, g, i, t);
        out[i] = clamp((float)((double)space->p0[i] + step), space->low[i], space->high[i]);
    }
    return sal_space_norm(space, norm, out);
}

/* The size of step at which nothing moves any more. */
static double furthest(const struct sal_space *space, enum sal_norm norm, const float *g)
{
    double most = 0;
    for (int64_t i = 0; i < space->n; i++) {
        double slope = (double)g[i];
        if (slope == 0)
            continue;
        double way = (double)(slope > 0 ? space->p0[i] - space->low[i]
                                        : space->high[i] - space->p0[i]);
        double t = norm == SAL_L2 ? way / fabs(slope) : way;
        most = t > most ? t : most;
    }
    return most;
}

double sal_space_straight(const struct sal_space *space, enum sal_norm norm, double f,
                          const float *g, const float *at, float *out)
{
    enum { ROUNDS = 60 };
    double rest = f; /* the value at p0 of the plane that touches f in `at` */
    for (int64_t i = 0; i < space->n; i++)
        rest += (double)g[i] * ((double)space->p0[i] - (double)at[i]);
    double low = 0, high = furthest(space, norm, g);
    if (rest <= 0) {
        memcpy(out, space->p0, (size_t)space->n * sizeof(*out));
        return 0;
    }
    if (!(rest + gain_of(space, norm, g, high) <= 0)) {
        put_step(space, norm, g, high, out);
        return INFINITY;
    }
    double free_t = rest / (norm == SAL_L2 ? pow(sal_vector_norm(SAL_L2, g, space->n), 2)
                                           : sal_vector_dual(SAL_LINF, g, space->n));
    low = free_t < high ? free_t * (1 - 1e-12) : 0; /* the box can only lengthen it */
    for (int round = 0; round < ROUNDS && high - low > 1e-9 * high; round++) {
        double middle = round ? (low + high) / 2 : low * (1 + 1e-9);
        if (rest + gain_of(space, norm, g, middle) <= 0)
            high = middle;
        else
            low = middle;
    }
    return put_step(space, norm, g, high, out);
}
