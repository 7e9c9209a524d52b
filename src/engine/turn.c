#include "turn.h"

/* A square that is not whole. */
static void turn_edge(const struct sal_turn *turn, int64_t column, int n, sal_real *to,
                      const ptrdiff_t *at)
{
    for (int j = 0; j < n; j++)
        for (int i = 0; i < SAL_BLOCK; i++) {
            sal_real w = i < turn->rows ? turn->from[i * turn->step + column + j] : 0;
            to[at[j] + i] = turn->scale && i < turn->rows ? w * turn->scale[i] : w;
        }
}

void sal_turn_run(const struct sal_turn *turn, sal_real *to,
                  ptrdiff_t (*at)(const void *context, int64_t j), const void *context)
{
    const struct sal_lanes *lanes = sal_lanes();
    for (int64_t column = 0; column < turn->columns; column += SAL_BLOCK) {
        const int64_t left = turn->columns - column;
        const int n = left < SAL_BLOCK ? (int)left : SAL_BLOCK;
        ptrdiff_t places[SAL_BLOCK];
        for (int j = 0; j < n; j++)
            places[j] = at(context, column + j);
        if (n == SAL_BLOCK && turn->rows == SAL_BLOCK)
            lanes->turn(turn->from + column, turn->step, turn->scale, to, places);
        else
            turn_edge(turn, column, n, to, places);
    }
}
