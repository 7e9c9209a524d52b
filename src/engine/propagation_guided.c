/* Guided backpropagation and deconvnet: what a ReLU lets back. */
#include "lower.h"
#include "propagation.h"

/* ReLU, or a clamp from 0 on. */
static bool is_rectifier(const struct sal_graph *graph, const struct sal_node *node)
{
    sal_real low, high;
    return sal_is_map_of_one(graph, node) && sal_clamp_of(graph, node, &low, &high) &&
           low == 0;
}

static size_t room(const struct sal_kernel *k)
{
    return (size_t)sal_tensor_count(k->out[0]);
}

static void rectify(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    sal_real *positive = sal_ruled_room(k);
    const sal_real *dy = k->dy[0];
    for (int64_t i = from; i < to; i++)
        positive[i] = dy[i] > 0 ? dy[i] : 0;
}

static void guided(const struct sal_kernel *k)
{
    if (!k->dx[0] || !k->dy[0])
        return;
    sal_split(k->pool, sal_tensor_count(k->out[0]), SAL_TILE, rectify, k);
    const sal_real *dy[1] = {sal_ruled_room(k)};
    struct sal_kernel own = *k;
    own.dy = dy;
    sal_own_backward(&own);
}

static void add_positive(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const sal_real *dy = k->dy[0];
    sal_real *dx = k->dx[0];
    for (int64_t i = from; i < to; i++)
        dx[i] += dy[i] > 0 ? dy[i] : 0;
}

static void deconvnet(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        sal_split(k->pool, sal_tensor_count(k->out[0]), SAL_TILE, add_positive, k);
}

static const struct sal_propagation_row guided_rows[] = {
    {.op = "Clip", .when = is_rectifier, .backward = guided, .room = room},
    {.op = "Relu", .when = is_rectifier, .backward = guided, .room = room},
    {0},
};

static const struct sal_propagation_row deconvnet_rows[] = {
    {.op = "Clip", .when = is_rectifier, .backward = deconvnet},
    {.op = "Relu", .when = is_rectifier, .backward = deconvnet},
    {0},
};

const struct sal_propagation sal_propagation_guided = {.rows = guided_rows};
const struct sal_propagation sal_propagation_deconvnet = {.rows = deconvnet_rows};
