#include "binding.h"

#include "stored.h"

bool sal_binding_init(struct sal_binding *binding, const struct sal_node *node,
                      struct sal_arena *arena)
{
    *binding = (struct sal_binding){
        .node = node,
        .in = sal_new(arena, const struct sal_tensor *, node->n_in),
        .out = sal_new(arena, struct sal_tensor *, node->n_out),
        .dx = sal_new(arena, sal_real *, node->n_in),
        .dy = sal_new(arena, const sal_real *, node->n_out),
    };
    return binding->in && binding->out && binding->dx && binding->dy;
}

void sal_binding_read(const struct sal_binding *binding, struct sal_pool *pool)
{
    for (int i = 0; i < binding->node->n_in; i++)
        if (binding->in[i])
            sal_stored_read(binding->in[i], pool);
}

struct sal_kernel sal_binding_kernel(const struct sal_binding *binding,
                                     struct sal_pool *pool)
{
    return (struct sal_kernel){
        .node = binding->node,
        .in = binding->in,
        .out = (const struct sal_tensor *const *)binding->out,
        .dx = binding->dx,
        .dy = binding->dy,
        .fresh = binding->fresh,
        .pool = pool,
    };
}
