#include "norm.h"

#include <string.h>

#include "lanes.h"
#include "real.h"

enum { STAT, X, SCALE, BIAS, OPERANDS }; /* of a walk; STAT is one per group */

/* What is remembered of a group: y is d * factor * scale + bias where d is centred;
 * g is dy * scale. slope is the factor's, along the sum that makes the moment. */
enum { MEAN, MOMENT, FACTOR, SLOPE, SUM_G, SUM_GD };

struct sal_norm_view sal_norm_view_of(const struct sal_node *node,
                                      const struct sal_shape *x,
                                      const struct sal_shape *scale,
                                      const struct sal_shape *bias)
{
    const struct sal_norm *norm = node->attr;
    struct sal_norm_view view = {.over = *x, .kept = *x};
    if (scale)
        view.scale = *scale;
    if (bias)
        view.bias = *bias;
    norm->kind->view(node, x, &view);
    return view;
}

int64_t sal_norm_group(const struct sal_norm_view *view)
{
    int64_t n = 1;
    for (int i = 0; i < view->over.rank; i++)
        n *= view->kept.dim[i] == 1 ? view->over.dim[i] : 1;
    return n;
}

static const struct sal_norm_kind *kind_of(const struct sal_kernel *k)
{
    const struct sal_norm *norm = k->node->attr;
    return norm->kind;
}

static struct sal_norm_view view_of(const struct sal_kernel *k)
{
    const struct sal_tensor *scale = sal_kernel_in(k, SAL_NORM_SCALE);
    const struct sal_tensor *bias = sal_kernel_in(k, SAL_NORM_BIAS);
    return sal_norm_view_of(k->node, &k->in[SAL_NORM_X]->shape,
                            scale ? &scale->shape : NULL, bias ? &bias->shape : NULL);
}

/* Its base is the size of a group. */
static void walk_init(struct sal_walk *walk, const struct sal_kernel *k)
{
    const struct sal_norm_view view = view_of(k);
    const struct sal_shape *const shapes[OPERANDS] = {
        [STAT] = &view.kept, [X] = &view.over, [SCALE] = &view.scale, [BIAS] = &view.bias};
    sal_walk_init(walk, &view.over, shapes, OPERANDS);
    walk->base = sal_norm_group(&view);
}

static const sal_real *values_of(const struct sal_stretch *s, int input,
                                 const sal_real *missing)
{
    const struct sal_tensor *in = sal_kernel_in(s->k, input);
    return in ? in->real + s->at[input == SAL_NORM_SCALE ? SCALE : BIAS] : missing;
}

static const sal_real *scale_of(const struct sal_stretch *s)
{
    static const sal_real one = 1;
    return values_of(s, SAL_NORM_SCALE, &one);
}

static const sal_real *bias_of(const struct sal_stretch *s)
{
    static const sal_real zero = 0;
    return values_of(s, SAL_NORM_BIAS, &zero);
}

/* Calls an inline function with steps of X, scale and bias that are constants where
 * they are the usual ones, which lets the compiler work on several at once. */
#define ALONG(function, s)                                                       \
    do {                                                                         \
        const int64_t x = (s)->step[X], scale = (s)->step[SCALE];                \
        const int64_t bias = (s)->step[BIAS];                                    \
        if (x == 1 && scale == 1 && bias == 1)                                   \
            function(s, 1, 1, 1);                                                \
        else if (x == 1 && scale == 1 && bias == 0)                              \
            function(s, 1, 1, 0);                                                \
        else if (x == 1 && scale == 0 && bias == 0)                              \
            function(s, 1, 0, 0);                                                \
        else                                                                     \
            function(s, x, scale, bias);                                         \
    } while (0)

/* ---- statistics of a group: first the mean, then the moment of what is centred ------ */

static void take_mean(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[SAL_NORM_X]->real + s->at[X];
    sal_real *own = s->memory->real;
    SAL_SUM(own[MEAN], i, s->count, x[i * s->step[X]])
    if (s->last)
        own[MEAN] /= (sal_real)s->base;
}

static inline sal_real squared(sal_real x)
{
    return x * x;
}

static void take_moment(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[SAL_NORM_X]->real + s->at[X];
    const struct sal_norm *norm = s->k->node->attr;
    const int64_t step = s->step[X];
    sal_real *own = s->memory->real;
    const sal_real mean = own[MEAN];
    if (norm->kind->absolute)
        SAL_SUM(own[MOMENT], i, s->count, sal_abs(x[i * step] - mean))
    else
        SAL_SUM(own[MOMENT], i, s->count, squared(x[i * step] - mean))
    if (!s->last)
        return;
    const sal_real share = norm->kind->summed ? 1 : (sal_real)s->base;
    own[FACTOR] = norm->kind->factor(own[MOMENT] / share, norm->epsilon, &own[SLOPE]);
    own[SLOPE] /= share;
}

/* ---- forward ------------------------------------------------------------------------ */

static inline void write_along(const struct sal_stretch *s, int64_t x_step,
                               int64_t scale_step, int64_t bias_step)
{
    const sal_real *x = s->k->in[SAL_NORM_X]->real + s->at[X];
    const sal_real *scale = scale_of(s), *bias = bias_of(s);
    const sal_real mean = s->memory->real[MEAN], factor = s->memory->real[FACTOR];
    sal_real *y = s->k->out[SAL_NORM_Y]->real + s->at[X];
    for (int64_t i = 0; i < s->count; i++)
        y[i * x_step] = (x[i * x_step] - mean) * factor * scale[i * scale_step] +
                        bias[i * bias_step];
}

static void write(const struct sal_stretch *s)
{
    const struct sal_tensor *mean = sal_kernel_out(s->k, SAL_NORM_MEAN);
    const struct sal_tensor *factor = sal_kernel_out(s->k, SAL_NORM_FACTOR);
    if (s->first && mean)
        mean->real[s->at[STAT]] = s->memory->real[MEAN];
    if (s->first && factor)
        factor->real[s->at[STAT]] = s->memory->real[FACTOR];
    if (sal_kernel_out(s->k, SAL_NORM_Y))
        ALONG(write_along, s);
}

/* ---- groups that lie in one piece, row after row ------------------------------------ */

/* Scale and bias are one per element of a row, or missing. */
static bool in_rows(const struct sal_walk *walk, const struct sal_kernel *k)
{
    const int last = walk->rank - 1;
    const bool scaled = sal_kernel_in(k, SAL_NORM_SCALE);
    const bool biased = sal_kernel_in(k, SAL_NORM_BIAS);
    if (kind_of(k)->absolute || walk->rank > 2 || walk->stride[STAT][last] != 0 ||
        walk->stride[X][last] != 1 || walk->stride[SCALE][last] != scaled ||
        walk->stride[BIAS][last] != biased)
        return false;
    return last == 0 || (walk->stride[STAT][0] == 1 && walk->stride[SCALE][0] == 0 &&
                         walk->stride[BIAS][0] == 0);
}

static struct sal_row_norm row_norm_of(const struct sal_kernel *k, const sal_real *x,
                                       int64_t n)
{
    const struct sal_norm *norm = k->node->attr;
    const struct sal_tensor *scale = sal_kernel_in(k, SAL_NORM_SCALE);
    const struct sal_tensor *bias = sal_kernel_in(k, SAL_NORM_BIAS);
    struct sal_row_norm row = {.centred = norm->kind->centred,
                               .scale = scale ? scale->real : NULL,
                               .bias = bias ? bias->real : NULL};
    sal_real squares;
    sal_lanes()->moments(x, n, row.centred, &row.mean, &squares);
    const sal_real share = norm->kind->summed ? 1 : (sal_real)n;
    row.factor = norm->kind->factor(squares / share, norm->epsilon, &row.slope);
    row.slope /= share;
    return row;
}

static int64_t row_length(const struct sal_kernel *k)
{
    const struct sal_norm_view view = view_of(k);
    return sal_norm_group(&view);
}

static void forward_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const struct sal_tensor *y = sal_kernel_out(k, SAL_NORM_Y);
    const struct sal_tensor *mean = sal_kernel_out(k, SAL_NORM_MEAN);
    const struct sal_tensor *factor = sal_kernel_out(k, SAL_NORM_FACTOR);
    const int64_t n = row_length(k);
    (void)worker;
    for (int64_t i = from; i < to; i++) {
        const sal_real *x = k->in[SAL_NORM_X]->real + i * n;
        const struct sal_row_norm row = row_norm_of(k, x, n);
        if (mean)
            mean->real[i] = row.mean;
        if (factor)
            factor->real[i] = row.factor;
        if (y)
            sal_lanes()->normalise(y->real + i * n, x, n, &row);
    }
}

static void backward_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const int64_t n = row_length(k);
    (void)worker;
    for (int64_t i = from; i < to; i++) {
        const sal_real *x = k->in[SAL_NORM_X]->real + i * n;
        const struct sal_row_norm row = row_norm_of(k, x, n);
        if (k->fresh & 1u << SAL_NORM_X)
            memset(k->dx[SAL_NORM_X] + i * n, 0, sizeof(sal_real) * (size_t)n);
        sal_lanes()->normalise_gradient(k->dx[SAL_NORM_X] + i * n, x,
                                        k->dy[SAL_NORM_Y] + i * n, n, &row);
    }
}

static void split_rows(const struct sal_kernel *k,
                       void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                                    int worker))
{
    const int64_t n = row_length(k);
    sal_split(k->pool, sal_shape_count(&k->in[SAL_NORM_X]->shape) / n, sal_grain(n), work,
              k);
}

/* Only x has a gradient, and it comes from y. */
static bool row_gradient(const struct sal_kernel *k)
{
    return k->dx[SAL_NORM_X] && sal_kernel_dy(k, SAL_NORM_Y) &&
           !sal_kernel_dy(k, SAL_NORM_MEAN) && !sal_kernel_dy(k, SAL_NORM_FACTOR) &&
           !sal_kernel_dx(k, SAL_NORM_SCALE) && !sal_kernel_dx(k, SAL_NORM_BIAS);
}

/* ---- any groups ---------------------------------------------------------------------- */

void sal_norm_forward(const struct sal_kernel *k)
{
    static void (*const passes[])(const struct sal_stretch *) = {take_mean, take_moment,
                                                                 write};
    struct sal_walk walk;
    const int skipped = !kind_of(k)->centred;
    walk_init(&walk, k);
    if (in_rows(&walk, k))
        split_rows(k, forward_rows);
    else
        sal_walk_passes(&walk, STAT, k, passes + skipped, 3 - skipped);
}

/* ---- backward ----------------------------------------------------------------------- */

static const sal_real *dy_of(const struct sal_stretch *s)
{
    const sal_real *dy = sal_kernel_dy(s->k, SAL_NORM_Y);
    return dy ? dy + s->at[X] : NULL;
}

/* For the gradient of the scale: mean and factor of each group, side by side. */
static void keep_statistics(const struct sal_stretch *s)
{
    if (!sal_kernel_dx(s->k, SAL_NORM_SCALE) || !s->first)
        return;
    s->k->scratch[2 * s->at[STAT]] = s->memory->real[MEAN];
    s->k->scratch[2 * s->at[STAT] + 1] = s->memory->real[FACTOR];
}

static inline void sums_along(const struct sal_stretch *s, int64_t x_step,
                              int64_t scale_step, int64_t bias_step)
{
    const sal_real *x = s->k->in[SAL_NORM_X]->real + s->at[X];
    const sal_real *dy = dy_of(s), *scale = scale_of(s);
    sal_real *own = s->memory->real;
    const sal_real mean = own[MEAN];
    (void)bias_step;
    SAL_SUM(own[SUM_G], i, s->count, dy[i * x_step] * scale[i * scale_step])
    SAL_SUM(own[SUM_GD], i, s->count,
            dy[i * x_step] * scale[i * scale_step] * (x[i * x_step] - mean))
}

static void take_sums(const struct sal_stretch *s)
{
    if (dy_of(s))
        ALONG(sums_along, s);
}

static inline sal_real sign(sal_real x)
{
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/* dx = factor * (g - mean of g) + what comes by the factor + what comes by the mean. */
static inline void spread_along(const struct sal_stretch *s, int64_t x_step,
                                int64_t scale_step, int64_t bias_step)
{
    const struct sal_kernel *k = s->k;
    const struct sal_norm_kind *kind = kind_of(k);
    const sal_real *own = s->memory->real, *x = k->in[SAL_NORM_X]->real + s->at[X];
    const sal_real *dy = dy_of(s), *scale = scale_of(s);
    const sal_real *dmean = sal_kernel_dy(k, SAL_NORM_MEAN);
    const sal_real *dfactor = sal_kernel_dy(k, SAL_NORM_FACTOR);
    const sal_real n = (sal_real)s->base, mean = own[MEAN], factor = own[FACTOR];
    const sal_real by_mean = ((dmean ? dmean[s->at[STAT]] : 0) -
                              (kind->centred ? factor * own[SUM_G] : 0)) / n;
    const sal_real by_factor =
        own[SLOPE] * (own[SUM_GD] + (dfactor ? dfactor[s->at[STAT]] : 0));
    sal_real *dx = k->dx[SAL_NORM_X] + s->at[X];
    (void)bias_step;
    for (int64_t i = 0; i < s->count; i++) {
        const sal_real d = x[i * x_step] - mean;
        const sal_real g = dy ? dy[i * x_step] * scale[i * scale_step] : 0;
        dx[i * x_step] +=
            factor * g + by_mean + by_factor * (kind->absolute ? sign(d) : 2 * d);
    }
}

static void spread(const struct sal_stretch *s)
{
    ALONG(spread_along, s);
}

static void scale_gradient(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[SAL_NORM_X]->real + s->at[X], *dy = dy_of(s);
    const sal_real *statistics = s->k->scratch + 2 * s->at[STAT];
    const int64_t step = s->step[SCALE], x_step = s->step[X], next = 2 * s->step[STAT];
    sal_real *dx = s->k->dx[SAL_NORM_SCALE] + s->at[SCALE], sum = 0;
    for (int64_t i = 0; step && i < s->count; i++)
        dx[i * step] += dy[i * x_step] * (x[i * x_step] - statistics[i * next]) *
                        statistics[i * next + 1];
    if (step)
        return;
    SAL_SUM(sum, i, s->count,
            dy[i * x_step] * (x[i * x_step] - statistics[i * next]) *
                statistics[i * next + 1])
    *dx += sum;
}

static void bias_gradient(const struct sal_stretch *s)
{
    const sal_real *dy = dy_of(s);
    const int64_t step = s->step[BIAS];
    sal_real *dx = s->k->dx[SAL_NORM_BIAS] + s->at[BIAS], sum = 0;
    for (int64_t i = 0; step && i < s->count; i++)
        dx[i * step] += dy[i * s->step[X]];
    if (step)
        return;
    SAL_SUM(sum, i, s->count, dy[i * s->step[X]])
    *dx += sum;
}

/* Walks add to what is there. */
static void begin_at_zero(const struct sal_kernel *k)
{
    for (int i = SAL_NORM_X; i <= SAL_NORM_BIAS && i < k->node->n_in; i++)
        if (k->fresh >> i & 1 && k->dx[i])
            memset(k->dx[i], 0,
                   sizeof(sal_real) * (size_t)sal_shape_count(&k->in[i]->shape));
}

void sal_norm_backward(const struct sal_kernel *k)
{
    static void (*const passes[])(const struct sal_stretch *) = {
        take_mean, take_moment, keep_statistics, take_sums, spread};
    struct sal_walk walk;
    const int skipped = !kind_of(k)->centred;
    const bool arrives = sal_kernel_dy(k, SAL_NORM_Y) != NULL;
    walk_init(&walk, k);
    if (in_rows(&walk, k) && row_gradient(k)) {
        split_rows(k, backward_rows);
        return;
    }
    begin_at_zero(k);
    sal_walk_passes(&walk, STAT, k, passes + skipped,
                    (k->dx[SAL_NORM_X] ? 5 : 3) - skipped);
    if (sal_kernel_dx(k, SAL_NORM_SCALE) && arrives)
        sal_walk_reduce(&walk, SCALE, k, scale_gradient);
    if (sal_kernel_dx(k, SAL_NORM_BIAS) && arrives)
        sal_walk_reduce(&walk, BIAS, k, bias_gradient);
}

size_t sal_norm_scratch(const struct sal_kernel *k, bool backward)
{
    if (!backward || !sal_kernel_dx(k, SAL_NORM_SCALE))
        return 0;
    const struct sal_norm_view view = view_of(k);
    return 2 * (size_t)sal_shape_count(&view.kept);
}
