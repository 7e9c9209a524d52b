/* Windows over the planes of one block, pixel after pixel. */
#include "lanes_vector.h"
#include "planes.h"

/* What one window covers of a plane, as its vectors are found. */
struct cover {
    int64_t rows, columns;
    ptrdiff_t at, row, column; /* elements: the first tap, from tap to tap */
};

static struct cover cover_of(const struct sal_planes *g, struct sal_cover h,
                             struct sal_cover w)
{
    const ptrdiff_t row = g->in[SAL_W] * SAL_BLOCK;
    return (struct cover){h.n, w.n, h.at * row + w.at * SAL_BLOCK, h.step * row,
                          w.step * SAL_BLOCK};
}

/* Calls visit for all windows of rows from..to-1 of the output: o is where their
 * elements lie, h and w what they cover along each axis. */
#define EACH_WINDOW(g, from, to, visit)                                                \
    for (int64_t oh = (from), o = oh * (g)->out[SAL_W] * SAL_BLOCK; oh < (to); oh++) { \
        const struct sal_cover h = sal_planes_cover(g, SAL_H, oh);                     \
        for (int64_t ow = 0; ow < (g)->out[SAL_W]; ow++, o += SAL_BLOCK) {             \
            const struct sal_cover w = sal_planes_cover(g, SAL_W, ow);                 \
            visit;                                                                     \
        }                                                                              \
    }

/* Rows of the output whose windows reach into rows from..to-1 of the input. */
struct rows {
    int64_t from, to;
};

static struct rows readers(const struct sal_planes *g, int64_t from, int64_t to)
{
    const struct sal_window *window = &g->window;
    const int64_t stride = window->stride[SAL_H], pad = window->pad_begin[SAL_H];
    const int64_t reach = (window->kernel[SAL_H] - 1) * window->dilation[SAL_H];
    const int64_t first = from + pad - reach;
    struct rows rows = {first > 0 ? (first + stride - 1) / stride : 0,
                        (to - 1 + pad) / stride + 1};
    rows.to = rows.to < g->out[SAL_H] ? rows.to : g->out[SAL_H];
    return rows;
}

/* ---- the greatest -------------------------------------------------------------------
 */

/* NaN wins over all: known from the lanes that met none. */
SAL_INLINE sal_vec known(sal_vec most, sal_lane_mask ordered)
{
    return sal_vec_pick(ordered, most, sal_vec_of((sal_real)NAN));
}

SAL_INLINE void greatest(const sal_real *x, const struct cover c, const int64_t rows,
                         const int64_t columns, sal_real *y)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        sal_vec most = sal_vec_of(-SAL_INFINITY);
        sal_lane_mask ordered = sal_vec_equal(most, most);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t s = 0; s < columns; s++) {
                sal_vec v = sal_vec_load(x + c.at + r * c.row + s * c.column + part);
                most = sal_vec_max(most, v);
                ordered &= sal_vec_equal(v, v);
            }
        sal_vec_store(y + part, known(most, ordered));
    }
}

/* And which tap of those covered it is: the first of equal ones, the last NaN. */
SAL_INLINE void greatest_at(const sal_real *x, const struct cover c, const int64_t rows,
                            const int64_t columns, sal_real *y, uint8_t *at)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        sal_vec most = sal_vec_of(-SAL_INFINITY), tap = {0};
        for (int64_t r = 0; r < rows; r++)
            for (int64_t s = 0; s < columns; s++) {
                const sal_vec v = sal_vec_load(x + c.at + r * c.row + s * c.column + part);
                const sal_vec here = (sal_vec)sal_whole_of(r * columns + s);
                const sal_lane_mask more = sal_vec_more_or_nan(v, most);
                most = sal_vec_pick(more, v, most);
                tap = sal_vec_pick(more, here, tap);
            }
        sal_vec_store(y + part, most);
        sal_whole_store_bytes(at + part, (sal_ivec)tap);
    }
}

void SAL_NAMED(sal_max_pool)(const struct sal_planes *g, const sal_real *x, sal_real *y,
                             uint8_t *taps, int64_t from, int64_t to)
{
    if (!taps)
        EACH_WINDOW(g, from, to, {
            const struct cover c = cover_of(g, h, w);
            if (c.rows == 3 && c.columns == 3)
                greatest(x, c, 3, 3, y + o);
            else
                greatest(x, c, c.rows, c.columns, y + o);
        })
    else
        EACH_WINDOW(g, from, to, {
            const struct cover c = cover_of(g, h, w);
            if (c.rows == 3 && c.columns == 3)
                greatest_at(x, c, 3, 3, y + o, taps + o);
            else
                greatest_at(x, c, c.rows, c.columns, y + o, taps + o);
        })
}

/* To its tap, of those in rows first..past-1 of the window. */
SAL_INLINE void pull(const struct cover *c, const int64_t columns, const uint8_t *tap,
                     const sal_real *dy, sal_real *dx, const int64_t first,
                     const int64_t past)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        const sal_ivec chosen = sal_whole_load_bytes(tap + part);
        const sal_vec share = sal_vec_load(dy + part);
        for (int64_t r = first; r < past; r++)
            for (int64_t s = 0; s < columns; s++) {
                sal_real *at = dx + c->at + r * c->row + s * c->column + part;
                const sal_lane_mask is = sal_whole_is(chosen, r * columns + s);
                sal_vec_store(at, sal_vec_load(at) + sal_vec_where(is, share));
            }
    }
}

/* Taps of a window along the height that lie before row `end` of the input. */
static int64_t taps_before(struct sal_cover h, int64_t end)
{
    return sal_taps_before(h.at, h.n, h.step, end);
}

void SAL_NAMED(sal_max_pool_back)(const struct sal_planes *g, const uint8_t *taps,
                                  const sal_real *dy, sal_real *dx, int64_t from,
                                  int64_t to)
{
    const struct rows rows = readers(g, from, to);
    EACH_WINDOW(g, rows.from, rows.to, {
        const struct cover c = cover_of(g, h, w);
        const int64_t first = taps_before(h, from);
        const int64_t past = taps_before(h, to);
        if (c.columns == 3 && first == 0 && past == 3)
            pull(&c, 3, taps + o, dy + o, dx, 0, 3);
        else
            pull(&c, c.columns, taps + o, dy + o, dx, first, past);
    })
}

/* ---- the average --------------------------------------------------------------------
 */

static const struct sal_cover flat = {.n = 1, .step = 1, .padded = 1};

SAL_INLINE void average(const sal_real *x, const struct cover c, const int64_t rows,
                        const int64_t columns, sal_real divisor, sal_real *y)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        sal_vec sum = {0};
        for (int64_t r = 0; r < rows; r++)
            for (int64_t s = 0; s < columns; s++)
                sum += sal_vec_load(x + c.at + r * c.row + s * c.column + part);
        sal_vec_store(y + part, sum / sal_vec_of(divisor));
    }
}

void SAL_NAMED(sal_average_pool)(const struct sal_planes *g, bool include_pad,
                                 const sal_real *x, sal_real *y, int64_t from,
                                 int64_t to)
{
    EACH_WINDOW(g, from, to, {
        const struct cover c = cover_of(g, h, w);
        const sal_real divisor = sal_planes_divisor(include_pad, flat, h, w);
        if (c.rows == 3 && c.columns == 3)
            average(x, c, 3, 3, divisor, y + o);
        else
            average(x, c, c.rows, c.columns, divisor, y + o);
    })
}

void SAL_NAMED(sal_average_pool_back)(const struct sal_planes *g, bool include_pad,
                                      const sal_real *dy, sal_real *dx, int64_t from,
                                      int64_t to)
{
    const struct rows rows = readers(g, from, to);
    EACH_WINDOW(g, rows.from, rows.to, {
        const struct cover c = cover_of(g, h, w);
        const sal_vec divisor = sal_vec_of(sal_planes_divisor(include_pad, flat, h, w));
        const int64_t past = taps_before(h, to);
        for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
            const sal_vec share = sal_vec_load(dy + o + part) / divisor;
            for (int64_t r = taps_before(h, from); r < past; r++)
                for (int64_t s = 0; s < c.columns; s++) {
                    sal_real *at = dx + c.at + r * c.row + s * c.column + part;
                    sal_vec_store(at, sal_vec_load(at) + share);
                }
        }
    })
}
