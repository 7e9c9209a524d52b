/*
 * LRP's rules for layers with weights.
 *
 * A rule is one or two sides. A side is a sum of terms, some of the inputs with some of the
 * weights, which is its denominator, and the share of the relevance that it hands on: each
 * term goes back, by its own weights, to the inputs it was made of.
 */
#include <string.h>

#include "propagation_parts.h"
#include "real.h"

/* ---- rules ---------------------------------------------------------------------------- */

enum inputs { ALL, POSITIVE, NEGATIVE, LOW, HIGH };

/* of + positive |w|+ - negative |w|- */
struct weighing {
    double of, positive, negative;
};

struct term {
    enum inputs inputs;
    struct weighing weights;
};

/* Where the layer's own output is so. */
enum outputs { ANY, ABOVE, BELOW };

struct side {
    double share;
    enum outputs outputs;
    struct weighing bias;
    struct term terms[3];
    int n;
};

struct rule {
    struct side sides[2];
    int n;
    bool to_relevance; /* what goes back is relevance, not a multiplier */
};

static struct rule gamma_rule(double gamma)
{
    const struct weighing more = {1, gamma, 0}, less = {1, 0, gamma};
    return (struct rule){
        .sides = {{1, ABOVE, more, {{POSITIVE, more}, {NEGATIVE, less}}, 2},
                  {1, BELOW, less, {{POSITIVE, less}, {NEGATIVE, more}}, 2}},
        .n = 2};
}

static struct rule alpha_beta_rule(double alpha)
{
    const struct weighing above = {0, 1, 0}, below = {0, 0, 1};
    return (struct rule){
        .sides = {{alpha, ANY, above, {{POSITIVE, above}, {NEGATIVE, below}}, 2},
                  {1 - alpha, ANY, below, {{POSITIVE, below}, {NEGATIVE, above}}, 2}},
        .n = alpha > 1 ? 2 : 1};
}

static struct rule rule_of(const struct sal_ruled *ruled)
{
    const struct weighing whole = {1, 0, 0}, none = {0, 0, 0};
    const double gamma = ruled->lrp->gamma;
    switch (ruled->layer) {
    case SAL_LRP_GAMMA:
        return gamma_rule(gamma);
    case SAL_LRP_ALPHA_BETA:
        return alpha_beta_rule(ruled->lrp->alpha);
    case SAL_LRP_GAMMA_WEIGHTS:
        return (struct rule){.sides = {{1, ANY, whole, {{ALL, {1, gamma, 0}}}, 1}}, .n = 1};
    case SAL_LRP_ZBOX:
        return (struct rule){
            .sides = {{1,
                       ANY,
                       none,
                       {{ALL, whole}, {LOW, {0, -1, 0}}, {HIGH, {0, 0, -1}}},
                       3}},
            .n = 1,
            .to_relevance = true};
    case SAL_LRP_EPSILON:
        break;
    }
    return (struct rule){.sides = {{1, ANY, whole, {{ALL, whole}}, 1}}, .n = 1};
}

/* ---- one call ---------------------------------------------------------------------------- */

/* A normalisation of its own is an affine layer: what it adds takes its share, and there
 * are no sums to favour parts of. */
static bool is_affine(const struct sal_kernel *k)
{
    return strcmp(k->node->ruled->own->name, "BatchNormalization") == 0;
}

struct call {
    const struct sal_kernel *k;
    int x, w;     /* inputs */
    int64_t n_x, n_w, n_b, n_y;
    sal_real *chosen, *back;       /* [n_x] */
    sal_real *weights, *bias;      /* [n_w], [n_b] */
    sal_real *sum, *part, *over;   /* [n_y] */
};

static const struct sal_tensor *bias_of(const struct sal_kernel *k)
{
    return sal_kernel_in(k, 2);
}

size_t sal_lrp_layer_room(const struct sal_kernel *k)
{
    const struct sal_tensor *bias = bias_of(k);
    int64_t y = sal_tensor_count(k->out[0]), inputs = 0;
    for (int i = 0; i < 2; i++)
        inputs += sal_tensor_count(k->in[i]);
    return (size_t)(2 * inputs + 3 * y + (bias ? sal_tensor_count(bias) : 0));
}

static struct call begin(const struct sal_kernel *k)
{
    const struct sal_tensor *bias = bias_of(k);
    struct call c = {.k = k, .x = sal_wanted(k), .n_y = sal_tensor_count(k->out[0])};
    c.w = 1 - c.x;
    c.n_x = sal_tensor_count(k->in[c.x]);
    c.n_w = sal_tensor_count(k->in[c.w]);
    c.n_b = bias ? sal_tensor_count(bias) : 0;
    c.chosen = sal_ruled_room(k);
    c.back = c.chosen + c.n_x;
    c.weights = c.back + c.n_x;
    c.bias = c.weights + c.n_w;
    c.sum = c.bias + c.n_b;
    c.part = c.sum + c.n_y;
    c.over = c.part + c.n_y;
    return c;
}

static void weigh(const sal_real *w, int64_t n, struct weighing by, sal_real *to)
{
    const sal_real up = (sal_real)(by.of + by.positive), down = (sal_real)(by.of + by.negative);
    for (int64_t i = 0; i < n; i++)
        to[i] = w[i] * (w[i] > 0 ? up : down);
}

/* The image's bound for element i of the layer's input. */
static sal_real bound_at(const struct call *c, const double *bounds, int64_t i)
{
    const struct sal_shape *x = &c->k->in[c->x]->shape;
    int64_t plane = x->rank > 2 ? sal_shape_span(x, 2, x->rank) : 1;
    int64_t channel = x->rank > 2 ? i / plane % x->dim[1] : 0;
    return (sal_real)bounds[channel < SAL_LRP_CHANNELS ? channel : 0];
}

static void choose(const struct call *c, enum inputs inputs)
{
    const sal_real *x = c->k->in[c->x]->real;
    const struct sal_lrp *lrp = c->k->node->ruled->lrp;
    for (int64_t i = 0; i < c->n_x; i++)
        switch (inputs) {
        case ALL: c->chosen[i] = x[i]; break;
        case POSITIVE: c->chosen[i] = x[i] > 0 ? x[i] : 0; break;
        case NEGATIVE: c->chosen[i] = x[i] < 0 ? x[i] : 0; break;
        case LOW: c->chosen[i] = bound_at(c, lrp->low, i); break;
        case HIGH: c->chosen[i] = bound_at(c, lrp->high, i); break;
        }
}

static bool any_negative(const struct call *c)
{
    const sal_real *x = c->k->in[c->x]->real;
    for (int64_t i = 0; i < c->n_x; i++)
        if (x[i] < 0)
            return true;
    return false;
}

/* The operator's own kernels with other inputs, weights and bias. */
static void call_own(const struct call *c, sal_real *y, const sal_real *dy)
{
    const struct sal_kernel *k = c->k;
    struct sal_tensor x = *k->in[c->x], w = *k->in[c->w], b = {0}, out = *k->out[0];
    const struct sal_tensor *in[3] = {NULL};
    sal_real *dx[3] = {NULL};
    struct sal_kernel own = *k;
    x.real = c->chosen;
    w.real = c->weights;
    w.stored = NULL;
    in[c->x] = &x;
    in[c->w] = &w;
    if (c->n_b) {
        b = *bias_of(k);
        b.real = c->bias;
        in[2] = &b;
    }
    own.in = in;
    own.out = (const struct sal_tensor *const[]){&out};
    own.dx = dx;
    if (dy) {
        dx[c->x] = c->back;
        own.dy = (const sal_real *const[]){dy};
        memset(c->back, 0, sizeof(*c->back) * (size_t)c->n_x);
        sal_own_backward(&own);
    } else {
        out.real = y;
        sal_own_forward(&own);
    }
}

/* ---- sides ------------------------------------------------------------------------------ */

static void prepare(const struct call *c, const struct side *side, int i)
{
    const struct weighing none = {0, 0, 0};
    choose(c, side->terms[i].inputs);
    weigh(c->k->in[c->w]->real, c->n_w, side->terms[i].weights, c->weights);
    if (c->n_b)
        weigh(bias_of(c->k)->real, c->n_b,
              i || c->k->node->ruled->lrp->no_bias ? none : side->bias, c->bias);
}

static bool counts(sal_real y, enum outputs outputs)
{
    return outputs == ANY || (outputs == ABOVE ? y > 0 : y < 0);
}

/* Behind a ReLU nothing is handed back from below. */
static bool hands_back(const struct call *c, enum outputs outputs)
{
    const sal_real *y = c->k->out[0]->real, *dy = c->k->dy[0];
    for (int64_t i = 0; i < c->n_y; i++)
        if (dy[i] != 0 && counts(y[i], outputs))
            return true;
    return false;
}

/* over = share R / (denominator + epsilon away from zero), of multipliers dy = R / y */
static void divide(const struct call *c, const struct side *side)
{
    const sal_real *y = c->k->out[0]->real, *dy = c->k->dy[0];
    const sal_real epsilon = (sal_real)c->k->node->ruled->lrp->epsilon;
    const sal_real share = (sal_real)side->share;
    for (int64_t i = 0; i < c->n_y; i++) {
        const sal_real z = c->sum[i] < 0 ? c->sum[i] - epsilon : c->sum[i] + epsilon;
        c->over[i] = z != 0 && c->sum[i] != 0 && counts(y[i], side->outputs)
                         ? share * dy[i] * (y[i] / z) : 0;
    }
}

static void give_back(const struct call *c, const struct term *term, bool to_relevance)
{
    sal_real *dx = c->k->dx[c->x];
    for (int64_t i = 0; i < c->n_x; i++)
        if (to_relevance)
            dx[i] += c->chosen[i] * c->back[i];
        else if (term->inputs == ALL || c->chosen[i] != 0)
            dx[i] += c->back[i];
}

/* n: how many of its terms are not empty. */
static void do_side(const struct call *c, const struct side *side, int n, bool to_relevance)
{
    for (int i = 0; i < n; i++) {
        prepare(c, side, i);
        call_own(c, i ? c->part : c->sum, NULL);
        if (i)
            sal_add(c->sum, c->part, c->n_y);
    }
    divide(c, side);
    for (int i = 0; i < n; i++) {
        if (n > 1)
            prepare(c, side, i);
        call_own(c, NULL, c->over);
        give_back(c, &side->terms[i], to_relevance);
    }
}

/* ---- the layer ------------------------------------------------------------------------- */

/* dy shrunk by |y| / (|y| + epsilon), then the gradient. */
static void epsilon_rule(const struct sal_kernel *k)
{
    const sal_real *y = k->out[0]->real;
    const sal_real epsilon = (sal_real)k->node->ruled->lrp->epsilon;
    sal_real *over = sal_ruled_room(k);
    int64_t n = sal_tensor_count(k->out[0]);
    for (int64_t i = 0; i < n; i++) {
        const sal_real size = sal_abs(y[i]);
        over[i] = size > 0 ? k->dy[0][i] * (size / (size + epsilon)) : 0;
    }
    struct sal_kernel own = *k;
    own.dy = (const sal_real *const[]){over};
    sal_own_backward(&own);
}

void sal_lrp_layer(const struct sal_kernel *k)
{
    if (sal_wanted(k) < 0 || !k->dy[0])
        return;
    if (is_affine(k) || k->node->ruled->layer == SAL_LRP_EPSILON) {
        epsilon_rule(k);
        return;
    }
    struct call c = begin(k);
    struct rule rule = rule_of(k->node->ruled);
    bool positive = !rule.to_relevance && !any_negative(&c);
    for (int i = 0; i < rule.n; i++) {
        const struct side *side = &rule.sides[i];
        if (!hands_back(&c, side->outputs))
            continue;
        bool halves = side->n == 2 && side->terms[1].inputs == NEGATIVE;
        do_side(&c, side, halves && positive ? 1 : side->n, rule.to_relevance);
    }
}
