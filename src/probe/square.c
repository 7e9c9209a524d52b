/* Square: random squares of +-eps, in L2 bumps (square_l2.c), kept where the margin falls. It
 * asks for no gradient, so a lower margin than PGD finds is a sign that the gradient misleads.
 * Sizes of the squares are halved as published, by the share of all queries that is done; a
 * square may lie anywhere in a picture of any shape, the last row and column included. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"
#include "saliscope/random.h"

/* The share of the picture that a square covers at query i of n. */
static double share_at(double first, int64_t i, int64_t n)
{
    static const int halved[] = {10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000};
    double at = (double)i * 10000 / (double)n;
    for (size_t k = 0; k < sizeof(halved) / sizeof(*halved); k++)
        if (at > halved[k])
            first /= 2;
    return first;
}

static bool coin(uint64_t key, uint64_t counter)
{
    return sal_random_bits(key, counter) >> 63;
}

static int below(uint64_t key, uint64_t counter, int n)
{
    return (int)(sal_random_uniform(key, counter) * n);
}

static void set(const struct sal_search *s, int plane, int y, int x, bool up, float *p)
{
    int64_t at = plane * s->space.pixels + (int64_t)y * s->space.input->width + x;
    double step = up ? s->ball.eps : -s->ball.eps;
    p[at] = (float)((double)s->space.p0[at] + step);
}

/* Vertical stripes. */
static void begin(const struct sal_search *s, float *p)
{
    uint64_t key = sal_stream_key(s, SAL_STREAM_SQUARE, 0);
    const struct sal_model_input *input = s->space.input;
    for (int k = 0; k < s->space.planes; k++)
        for (int x = 0; x < input->width; x++)
            for (int y = 0; y < input->height; y++)
                set(s, k, y, x, coin(key, (uint64_t)(k * input->width + x)), p);
    sal_space_project(&s->space, s->ball, p);
}

static void put_square(const struct sal_search *s, int64_t i, double share, float *p)
{
    uint64_t key = sal_stream_key(s, SAL_STREAM_SQUARE, (uint64_t)i);
    const struct sal_model_input *input = s->space.input;
    int side = (int)(sqrt(share * (double)s->space.pixels) + 0.5);
    int height = side < 1 ? 1 : side < input->height ? side : input->height;
    int width = side < 1 ? 1 : side < input->width ? side : input->width;
    int top = below(key, 0, input->height - height + 1);
    int left = below(key, 1, input->width - width + 1);
    for (int k = 0; k < s->space.planes; k++)
        for (int y = top; y < top + height; y++)
            for (int x = left; x < left + width; x++)
                set(s, k, y, x, coin(key, (uint64_t)(2 + k)), p);
    sal_space_project(&s->space, s->ball, p);
}

/* The first point, from p0 in p, or another one instead of p. */
static void propose(const struct sal_search *s, struct sal_eta *eta, int64_t i, double share,
                    float *p)
{
    const bool l2 = s->ball.norm == SAL_L2;
    if (l2 && i == 0)
        sal_square_l2_begin(s, eta, p);
    else if (l2)
        sal_square_l2_change(s, eta, i, share, p);
    else if (i == 0)
        begin(s, p);
    else
        put_square(s, i, share, p);
}

enum sal_status sal_square(struct sal_search *s, int queries, double share, bool stop,
                           struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    const size_t bytes = (size_t)s->space.n * sizeof(float);
    float *p = sal_search_vector(s, &status, err), *kept = sal_search_vector(s, &status, err);
    struct sal_eta eta = {.values = sal_search_vector(s, &status, err)};
    double best = INFINITY;
    for (int i = 0; i < queries && !status; i++) {
        memcpy(p, i ? kept : s->space.p0, bytes);
        propose(s, &eta, i, share_at(share, i, queries), p);
        struct sal_look look = {.p = p};
        status = sal_search_look(s, &look, 1, err);
        if (status || !(look.margin < best))
            continue;
        best = look.margin;
        memcpy(kept, p, bytes);
        if (stop && look.reached)
            break;
    }
    free(p);
    free(kept);
    free(eta.values);
    return status;
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    int queries = (int)sal_search_param(s, "queries");
    sal_search_aim(s, (struct sal_ball){(enum sal_norm)sal_search_param(s, "norm"),
                                        sal_search_param(s, "eps")});
    s->answer->eps = s->ball.eps;
    sal_search_expect(s, queries);
    return sal_square(s, queries, sal_search_param(s, "share"),
                      sal_search_param(s, "stop") != 0, err);
}

static const struct sal_param params[] = {
    SAL_PARAM_EPS,
    SAL_PARAM_COUNT("queries", 1000, 1, 1000000, "forwards"),
    {.name = "share",
     .type = SAL_PARAM_REAL,
     .fallback = 0.8,
     .min = 1e-6,
     .max = 1,
     .unit = "",
     .help = "of the picture that the first squares cover"},
    SAL_PARAM_NORM,
    {.name = "stop",
     .type = SAL_PARAM_BOOL,
     .fallback = 0,
     .max = 1,
     .unit = "",
     .help = "end at the first flip"},
    SAL_PARAM_GOAL,
    SAL_PARAM_CONTROL,
    {0}};

const struct sal_probe sal_probe_square = {
    .name = "square",
    .title = "Square attack",
    .formula = "random squares of +-eps (l2: bumps), kept where the margin falls; no gradient",
    .paper = "Andriushchenko et al., ECCV 2020, arXiv:1912.00049",
    .needs = SAL_PROBE_ATTACK | SAL_PROBE_DRAWS,
    .params = params,
    .run = run,
};
