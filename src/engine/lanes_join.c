/*
 * Pixels put together from lanes of others. Vectors are stored at any lane: what one
 * leaves past its segment is written over by the next segment, or by the next pixel.
 */
#include "lanes_vector.h"

SAL_INLINE void move_pixel(const sal_real *from, sal_real *to)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES)
        sal_vec_store(to + part, sal_vec_load(from + part));
}

void SAL_NAMED(sal_join)(const struct sal_segment *segments, int n_segments, int64_t n,
                         sal_real *y)
{
    int64_t p = 0;
    for (; p < n - 1; p++)
        for (int i = 0; i < n_segments; i++) {
            const struct sal_segment *s = &segments[i];
            move_pixel(s->from + p * s->step, y + p * SAL_BLOCK + s->at);
        }
    for (int i = 0; i < n_segments && p < n; i++)
        for (int lane = 0; lane < segments[i].n; lane++)
            y[p * SAL_BLOCK + segments[i].at + lane] =
                segments[i].from[p * segments[i].step + lane];
}

/* ---- back ----------------------------------------------------------------------- */

static void add_lanes(const struct sal_segment *s, int64_t p, sal_real *dx)
{
    for (int lane = 0; lane < s->n; lane++)
        dx[p * SAL_BLOCK + s->at + lane] += s->from[p * s->step + lane];
}

/* Lanes of a segment among those of one part of a pixel. */
SAL_INLINE sal_lane_mask lanes_of(const struct sal_segment *s, int part)
{
    sal_vec lane = {0};
    for (int i = 0; i < SAL_LANES; i++)
        lane[i] = (sal_real)(part + i);
    return sal_vec_less(sal_vec_of((sal_real)(s->at - 1)), lane) &
           sal_vec_less(lane, sal_vec_of((sal_real)(s->at + s->n)));
}

static void add_segment(const struct sal_segment *s, int64_t n, sal_real *dx)
{
    const sal_real *from = s->from - s->at; /* lane 0 of the pixel it goes to */
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        const sal_lane_mask lanes = lanes_of(s, part);
        for (int64_t p = 1; p < n - 1; p++) {
            sal_real *to = dx + p * SAL_BLOCK + part;
            const sal_vec v = sal_vec_load(from + p * s->step + part);
            sal_vec_store(to, sal_vec_load(to) + sal_vec_where(lanes, v));
        }
    }
    if (n > 0)
        add_lanes(s, 0, dx);
    if (n > 1)
        add_lanes(s, n - 1, dx);
}

void SAL_NAMED(sal_join_back)(const struct sal_segment *segments, int n_segments,
                              int64_t n, sal_real *dx)
{
    for (int i = 0; i < n_segments; i++)
        add_segment(&segments[i], n, dx);
}
