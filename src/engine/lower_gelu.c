/* x * (1 + erf(x / sqrt(2))) / 2, in five nodes as exporters write it, as one Gelu. */
#include <string.h>

#include "kernel.h"
#include "lower.h"
#include "real.h"

/* The nodes found so far, and the values between them. */
struct search {
    const struct sal_lowering *l;
    struct sal_gelu_nodes *found;
    int chain;
};

static bool is_number(const struct search *s, int v, double number)
{
    const struct sal_tensor *t = sal_lower_constant(s->l, v);
    return t && sal_shape_count(&t->shape) == 1 &&
           fabs((double)t->real[0] - number) <= 1e-6 * number;
}

/* Whether node i is name(v, number), or, where order does not matter, the other way
 * round. */
static bool is_by_number(const struct search *s, int i, const char *name, int v,
                         double number)
{
    const struct sal_node *node = &s->l->from->nodes[i];
    if (!sal_lower_is(s->l, i, name) || node->n_in != 2)
        return false;
    return (node->in[0] == v && is_number(s, node->in[1], number)) ||
           (strcmp(name, "Div") != 0 && node->in[1] == v &&
            is_number(s, node->in[0], number));
}

/* Takes node i. */
static int take(struct search *s, int i)
{
    s->found->node[s->found->n++] = i;
    return s->l->from->nodes[i].out[0];
}

/* The one user of a value that nobody keeps; -1. */
static int only_user(const struct search *s, int v)
{
    if (v < 0 || s->l->uses[v] != 1 || s->l->options->kept[v] ||
        !sal_lower_is_free(s->l, s->l->user[v], s->chain))
        return -1;
    return s->l->user[v];
}

static bool is_product(const struct search *s, int i, int a, int b)
{
    const struct sal_node *node = &s->l->from->nodes[i];
    return sal_lower_is(s->l, i, "Mul") && node->n_in == 2 &&
           ((node->in[0] == a && node->in[1] == b) ||
            (node->in[0] == b && node->in[1] == a));
}

/* From 1 + erf on: times x, then a half; or times a half, then x. False: neither. */
static bool find_ends(struct search *s, int sum)
{
    int x = s->found->x, next = only_user(s, sum);
    if (next < 0)
        return false;
    bool half_first = is_by_number(s, next, "Mul", sum, 0.5);
    if (!half_first && !is_product(s, next, x, sum))
        return false;
    int product = take(s, next), last = only_user(s, product);
    if (last < 0 || !(half_first ? is_product(s, last, x, product)
                                 : is_by_number(s, last, "Mul", product, 0.5)))
        return false;
    s->found->y = take(s, last);
    return true;
}

bool sal_lower_gelu_at(const struct sal_lowering *l, int first, int chain,
                       struct sal_gelu_nodes *gelu)
{
    struct search s = {l, gelu, chain};
    const struct sal_node *node = &l->from->nodes[first];
    if (node->n_in != 2 || node->out[0] < 0 || !sal_lower_is_free(l, first, chain))
        return false;
    int x = sal_lower_constant(l, node->in[0]) ? node->in[1] : node->in[0];
    *gelu = (struct sal_gelu_nodes){.x = x, .y = -1};
    if (!is_by_number(&s, first, "Div", x, sqrt(2)) &&
        !is_by_number(&s, first, "Mul", x, sqrt(0.5)))
        return false;
    int next = only_user(&s, take(&s, first));
    if (next < 0 || !sal_lower_is(l, next, "Erf"))
        return false;
    int erf = take(&s, next);
    next = only_user(&s, erf);
    return next >= 0 && is_by_number(&s, next, "Add", erf, 1) && find_ends(&s, take(&s, next));
}

static enum sal_status lower_gelu(struct sal_lowering *l, int head, int i, bool *taken)
{
    struct sal_gelu_nodes gelu;
    if (!sal_lower_gelu_at(l, head, head, &gelu))
        return SAL_OK;
    *taken = true;
    if (i != gelu.node[gelu.n - 1]) {
        sal_lower_fold(l, gelu.node, gelu.n);
        return SAL_OK;
    }
    const struct sal_node *last = &l->from->nodes[i];
    int in = gelu.x;
    if (sal_lower_is_blocked(l, in))
        return sal_lower_emit_blocked(l, &sal_op_Gelu, last->name, sal_gelu_exact(),
                                      &l->blocked[in], 1, gelu.y);
    enum sal_status status = sal_lower_plain(l, in);
    return status ? status
                  : sal_lower_emit_plain(l, &sal_op_Gelu, last->name, sal_gelu_exact(), &in,
                                         1, gelu.y);
}

const struct sal_rule sal_lower_gelu = {lower_gelu};
