/* Blocked activations put together along channels that end anywhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "inner_concat.h"
#include "lone.h"
#include "random.h"

enum { CASES = 300, INPUTS = 6 };

struct concat {
    int n;
    struct sal_blocked in[INPUTS], out;
    int64_t channels[INPUTS];
    struct sal_inner_concat_attr attr;
    struct lone lone;
};

static void make(struct concat *c, uint64_t *state)
{
    *c = (struct concat){.n = (int)block_pick(state, 1, INPUTS)};
    c->out = (struct sal_blocked){block_pick(state, 1, 2), 0, block_pick(state, 1, 20),
                                  block_pick(state, 1, 20)};
    c->attr.channels = c->channels;
    lone_init(&c->lone, &sal_inner_concat, &c->attr);
    for (int i = 0; i < c->n; i++) {
        c->in[i] = c->out;
        c->in[i].c = c->channels[i] =
            block_pick(state, 1, test_random(state) < 0.5 ? 5 : 40);
        block_fill(lone_input(&c->lone, 5, sal_blocked_shape(&c->in[i]).dim),
                   block_count(&c->in[i]), state);
        /* Nobody looks at lanes past the channels. */
        if (c->in[i].c % SAL_BLOCK)
            c->lone.in[i].real[block_at(&c->in[i], 0, c->in[i].c, 0, 0)] = 1e30F;
    }
    for (int i = 0; i < c->n; i++)
        c->out.c += c->channels[i];
    lone_infer(&c->lone, true);
    block_fill(c->lone.dy, block_count(&c->out), state);
}

/* Calls visit for every element of every input: from is where it lies there, to in the
 * output. */
#define EACH_ELEMENT(c, visit)                                                         \
    for (int i = 0, before = 0; i < (c)->n; before += (int)(c)->channels[i++])         \
        for (int64_t n = 0; n < (c)->out.n; n++)                                       \
            for (int64_t q = 0; q < (c)->channels[i]; q++)                             \
                for (int64_t p = 0; p < (c)->out.h * (c)->out.w; p++) {                \
                    const int64_t from = block_at(&(c)->in[i], n, q, 0, p);            \
                    const int64_t to = block_at(&(c)->out, n, q + before, 0, p);       \
                    visit;                                                             \
                }

static void check(void *context)
{
    struct concat *c = context;
    const struct lone *l = &c->lone;
    const int64_t past = sal_blocks(c->out.c) * SAL_BLOCK;
    for (int pool = 0; pool < BLOCK_POOLS; pool++) {
        for (int i = 0; i < c->n; i++)
            for (int64_t j = 0; j < block_count(&c->in[i]); j++)
                l->dx[i][j] = 1;
        memset(l->out.real, -1, sizeof(sal_real) * (size_t)block_count(&c->out));
        lone_forward(&c->lone, block_pool(pool));
        lone_backward(&c->lone, block_pool(pool), ~0U);
        EACH_ELEMENT(c, {
            assert_true(l->out.real[to] == l->in[i].real[from]);
            assert_true(l->dx[i][from] == 1 + l->dy[to]);
        })
        for (int64_t q = c->out.c; q < past; q++)
            for (int64_t p = 0; p < c->out.n * c->out.h * c->out.w; p++)
                assert_true(
                    l->out.real[block_at(&c->out, 0, q, 0, 0) + p * SAL_BLOCK] == 0);
        for (int i = 0; i < c->n; i++)
            for (int64_t q = c->in[i].c; q < sal_blocks(c->in[i].c) * SAL_BLOCK; q++)
                for (int64_t p = 0; p < c->out.n * c->out.h * c->out.w; p++)
                    assert_true(
                        l->dx[i][block_at(&c->in[i], 0, q, 0, 0) + p * SAL_BLOCK] == 1);
    }
}

static void channels_follow_each_other(void **state)
{
    (void)state;
    uint64_t random = 17;
    for (int i = 0; i < test_some(CASES); i++) {
        struct concat c;
        make(&c, &random);
        block_each_table(check, &c);
        lone_release(&c.lone);
    }
}

static void a_gradient_may_be_wanted_for_some(void **state)
{
    (void)state;
    uint64_t random = 18;
    struct concat c;
    do {
        make(&c, &random);
        if (c.n < 2)
            lone_release(&c.lone);
    } while (c.n < 2);
    lone_forward(&c.lone, NULL);
    lone_backward(&c.lone, NULL, 2);
    const struct lone *l = &c.lone;
    EACH_ELEMENT(&c, assert_true(l->dx[i][from] == (i == 1 ? l->dy[to] : 0)))
    lone_release(&c.lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_follow_each_other),
        cmocka_unit_test(a_gradient_may_be_wanted_for_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
