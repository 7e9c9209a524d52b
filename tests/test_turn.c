/* Turned weights: every table, every size of an edge, any address; nothing else written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "random.h"
#include "turn.h"

enum { CASES = 400, COLUMNS = 70, STEP = 90, SPREAD = 40, UNTOUCHED = -77 };

static uint64_t state_of_random = 5;

static int roll(int from, int to)
{
    return from + (int)(test_random(&state_of_random) * (to - from + 1));
}

/* Columns lie in another order than they are read in. */
static ptrdiff_t backwards(const void *context, int64_t j)
{
    return (*(const int64_t *)context - 1 - j) * SPREAD;
}

static float number(void)
{
    return (float)(test_random(&state_of_random) * 2 - 1);
}

static void try_one(void)
{
    static char bytes[sizeof(float) * (SAL_BLOCK * STEP + 1)];
    static float to[COLUMNS * SPREAD], scale[SAL_BLOCK];
    const int64_t columns = roll(1, COLUMNS);
    const bool whole = roll(0, 1), scaled = roll(0, 1);
    const int rows = whole ? SAL_BLOCK : roll(1, SAL_BLOCK), step = roll((int)columns, STEP);
    char *from = bytes + roll(0, 3);
    for (int i = 0; i < SAL_BLOCK * STEP; i++)
        memcpy(from + i * (int)sizeof(float), &(float){number()}, sizeof(float));
    for (int i = 0; i < SAL_BLOCK; i++)
        scale[i] = number();
    for (int i = 0; i < COLUMNS * SPREAD; i++)
        to[i] = UNTOUCHED;
    const struct sal_turn turn = {(const sal_loose *)(const void *)from, step, rows, columns,
                                  scaled ? scale : NULL};
    sal_turn_run(&turn, to, backwards, &columns);
    for (int64_t i = 0; i < COLUMNS * SPREAD; i++) {
        const int64_t j = columns - 1 - i / SPREAD, lane = i % SPREAD;
        float right = UNTOUCHED;
        if (j >= 0 && lane < SAL_BLOCK)
            right = lane < rows ? turn.from[lane * step + j] * (scaled ? scale[lane] : 1) : 0;
        if (to[i] != right)
            fail_msg("%s, %d of %d x %d: element %d is %g, not %g", sal_lanes()->name, rows,
                     (int)columns, step, (int)i, (double)to[i], (double)right);
    }
}

static void try_all(void *unused)
{
    (void)unused;
    for (int j = 0; j < CASES; j++)
        try_one();
}

static void rows_become_columns(void **state)
{
    (void)state;
    block_each_table(try_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_become_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
