#include "region_pool.h"

#include "saliscope/pool.h"

struct pooling {
    const struct sal_region_kernel *k;
    const struct sal_planes *whole;
    sal_pool_plane *plane;
};

static void pool_box(void *context, int tile, int worker)
{
    const struct pooling *p = context;
    const struct sal_region_kernel *k = p->k;
    const struct sal_field *from = k->fields[0];
    const int image = tile % k->to->n;
    const int64_t plane = tile / k->to->n;
    const struct sal_window_box box = sal_region_window_box(k, image);
    struct sal_planes g = *p->whole;
    for (int i = 0; i < 2; i++) {
        g.in[SAL_H + i] = box.in[i];
        g.out[SAL_H + i] = box.out[i];
        g.window.pad_begin[SAL_H + i] = box.pad[i];
    }
    if (!g.out[SAL_H])
        return;
    sal_real *slab = k->scratch + (size_t)worker * k->scratch_stride;
    int64_t at = plane * sal_field_pixels(k->to) + k->to->first[image];
    sal_field_box(from, plane, image, &box.read, slab);
    p->plane(&g, ((const struct sal_pool_attr *)k->node->attr)->include_pad, slab,
             k->to->data + at * k->to->unit);
}

bool sal_region_pool(const struct sal_region_kernel *k, const struct sal_planes *whole,
                     sal_pool_plane *plane)
{
    struct pooling p = {k, whole, plane};
    sal_pool_run(k->pool, (int)k->to->planes * k->to->n, pool_box, &p);
    return true;
}

bool sal_region_pool_reach(const struct sal_node *node, const struct sal_tensor *const *in,
                           int input, struct sal_reach *reach)
{
    const struct sal_pool_attr *attr = node->attr;
    return sal_reach_of_window(node, &attr->window, in[input]->shape.dim + 2, reach);
}

size_t sal_region_pool_scratch(const struct sal_region_kernel *k)
{
    return (size_t)sal_region_slab(k);
}
