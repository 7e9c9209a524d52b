#include "space.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const sal_norm_names[] = {"linf", "l2", NULL};
const char *const sal_where_names[] = {"everywhere", "inside", "outside", NULL};

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

static void fill(struct sal_space *space, const struct sal_model *model)
{
    const struct sal_preprocessing *spec = sal_model_preprocessing(model);
    for (int k = 0; k < space->planes; k++)
        for (int64_t i = 0; i < space->pixels; i++) {
            int64_t at = k * space->pixels + i;
            double x = (double)space->x0[sal_input_place(space->input, k, i)];
            space->p0[at] = picture_of(spec, k, x);
        }
}

bool sal_space_is(const struct sal_probe_question *question, enum sal_where where, int64_t i)
{
    if (question->mask && !question->mask[i])
        return false;
    return where == SAL_EVERYWHERE || (question->roi[i] != 0) == (where == SAL_INSIDE);
}

void sal_space_allow(struct sal_space *space, const struct sal_probe_question *question,
                     enum sal_where where)
{
    for (int64_t at = 0; at < space->n; at++) {
        float p = space->p0[at];
        bool fixed = !sal_space_is(question, where, at % space->pixels);
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
    fill(space, question->model);
    sal_space_allow(space, question, question->where);
    return SAL_OK;
}

void sal_space_release(struct sal_space *space)
{
    free(space->p0);
    *space = (struct sal_space){0};
}

/* ---- inputs and gradients ------------------------------------------------------------------ */

/* Element i of channel c lies `step` places behind the one before, from the first on. */
static const sal_real *channel(const struct sal_space *space, const sal_real *x, int c,
                               int64_t *step)
{
    *step = sal_input_place(space->input, c, 1) - sal_input_place(space->input, c, 0);
    return x + sal_input_place(space->input, c, 0);
}

/* Always inline, so that a step of 1 is known and the loop is one over vectors. */
static inline __attribute__((always_inline)) void move_channel(const float *p, const float *p0,
                                                               const sal_real *x0, double scale,
                                                               int64_t n, int64_t step,
                                                               sal_real *x)
{
    for (int64_t i = 0; i < n; i++) {
        double change = (double)p[i] - (double)p0[i];
        sal_real given = x0[i * step];
        sal_real moved = (sal_real)((double)given + change * scale);
        x[i * step] = change == 0 ? given : moved;
    }
}

void sal_space_input(const struct sal_space *space, const float *p, sal_real *x)
{
    for (int c = 0; c < space->input->channels; c++) {
        const int64_t plane = space->planes == 1 ? 0 : c * space->pixels;
        int64_t step;
        const sal_real *x0 = channel(space, space->x0, c, &step);
        sal_real *to = x + (x0 - space->x0);
        if (step == 1)
            move_channel(p + plane, space->p0 + plane, x0, space->scale[c], space->pixels, 1, to);
        else
            move_channel(p + plane, space->p0 + plane, x0, space->scale[c], space->pixels, step,
                         to);
    }
}

static inline __attribute__((always_inline)) void add_channel(const sal_real *dx, double scale,
                                                              int64_t n, int64_t step, float *g)
{
    for (int64_t i = 0; i < n; i++)
        g[i] += (float)((double)dx[i * step] * scale);
}

void sal_space_slope(const struct sal_space *space, const sal_real *dx, bool whole, float *g)
{
    memset(g, 0, (size_t)space->n * sizeof(*g));
    for (int c = 0; c < space->input->channels; c++) {
        const int64_t plane = space->planes == 1 ? 0 : c * space->pixels;
        int64_t step;
        const sal_real *from = channel(space, dx, c, &step);
        if (step == 1)
            add_channel(from, space->scale[c], space->pixels, 1, g + plane);
        else
            add_channel(from, space->scale[c], space->pixels, step, g + plane);
    }
    for (int64_t i = 0; i < space->n; i++) {
        bool counts = (whole || space->low[i] != space->high[i]) && fabsf(g[i]) <= FLT_MAX;
        g[i] = counts ? g[i] : 0;
    }
}

void sal_space_gradient(const struct sal_space *space, const sal_real *dx, float *g)
{
    sal_space_slope(space, dx, false, g);
}

/* ---- norms ---------------------------------------------------------------------------------- */

/* Sums and maxima are of every eighth element, then of the eight: in an order that depends on
 * nothing, and in vectors. */
enum { LANES = 8 };

static double sum_lanes(const double *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double lane[LANES] = {0}, most = 0;
    int64_t whole = n - n % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            double d = fabs((double)a[i + k] - (double)b[i + k]);
            lane[k] = d > lane[k] ? d : lane[k];
        }
    for (int64_t i = whole; i < n; i++)
        lane[0] = fmax(lane[0], fabs((double)a[i] - (double)b[i]));
    for (int k = 0; k < LANES; k++)
        most = fmax(most, lane[k]);
    return most;
}

static double sum_of_squares(const float *a, const float *b, int64_t n)
{
    double lane[LANES] = {0};
    int64_t whole = n - n % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            double d = (double)a[i + k] - (double)b[i + k];
            lane[k] += d * d;
        }
    for (int64_t i = whole; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        lane[i % LANES] += d * d;
    }
    return sum_lanes(lane);
}

double sal_vector_dot(const float *a, const float *b, int64_t n)
{
    double lane[LANES] = {0};
    int64_t whole = n - n % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)a[i + k] * (double)b[i + k];
    for (int64_t i = whole; i < n; i++)
        lane[i % LANES] += (double)a[i] * (double)b[i];
    return sum_lanes(lane);
}

double sal_vector_norm(enum sal_norm norm, const float *v, int64_t n)
{
    double most = 0;
    if (norm == SAL_L2)
        return sqrt(sal_vector_dot(v, v, n));
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)v[i]));
    return most;
}

double sal_vector_dual(enum sal_norm norm, const float *v, int64_t n)
{
    double lane[LANES] = {0};
    int64_t whole = n - n % LANES;
    if (norm == SAL_L2)
        return sal_vector_norm(SAL_L2, v, n);
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += fabs((double)v[i + k]);
    for (int64_t i = whole; i < n; i++)
        lane[i % LANES] += fabs((double)v[i]);
    return sum_lanes(lane);
}

double sal_space_norm(const struct sal_space *space, enum sal_norm norm, const float *p)
{
    return norm == SAL_LINF ? largest_difference(p, space->p0, space->n)
                            : sqrt(sum_of_squares(p, space->p0, space->n));
}

void sal_space_picture(const struct sal_space *space, const float *p, float *picture,
                       float *change)
{
    for (int64_t i = 0; i < space->n; i++) {
        picture[i] = p[i];
        change[i] = (float)((double)p[i] - (double)space->p0[i]);
    }
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

void sal_space_bounds(const struct sal_space *space, double eps, float *low, float *high)
{
    for (int64_t i = 0; i < space->n; i++) {
        float p0 = space->p0[i];
        low[i] = clamp(at_most(p0, -eps), space->low[i], space->high[i]);
        high[i] = clamp(at_most(p0, eps), space->low[i], space->high[i]);
    }
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
