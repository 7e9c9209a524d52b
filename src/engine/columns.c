#include "columns.h"

#include <string.h>

#include "kernel.h"

void sal_columns_init(struct sal_columns *columns, const struct sal_window *fitted,
                      const int64_t *in, const int64_t *out)
{
    *columns = (struct sal_columns){.window = *fitted};
    for (int d = 0; d < fitted->rank; d++) {
        columns->in[d] = in[d];
        columns->out[d] = out[d];
    }
    sal_window_lift(&columns->window, columns->in, columns->out);
    const int64_t *kernel = columns->window.kernel;
    columns->taps = kernel[0] * kernel[1] * kernel[2];
    columns->pixels_in = columns->in[0] * columns->in[1] * columns->in[2];
    columns->pixels_out = columns->out[0] * columns->out[1] * columns->out[2];
}

/* ---- taps -------------------------------------------------------------------- */

/* Positions lo..hi-1 along one axis for which a tap at `offset` (dilated) reads inside
 * the input. */
static void valid_range(const struct sal_columns *c, int axis, int64_t offset,
                        int64_t *lo, int64_t *hi)
{
    int64_t shift = c->window.pad_begin[axis] - offset, stride = c->window.stride[axis];
    *lo = shift > 0 ? (shift + stride - 1) / stride : 0;
    int64_t last = c->in[axis] - 1 + shift; /* out * stride <= last */
    *hi = last < 0 ? 0 : sal_least(last / stride + 1, c->out[axis]);
    if (*lo > *hi)
        *lo = *hi;
}

struct sal_tap sal_columns_tap(const struct sal_columns *c, int64_t index)
{
    struct sal_tap tap;
    for (int d = SAL_WINDOW_AXES - 1; d >= 0; d--) {
        tap.at[d] = index % c->window.kernel[d] * c->window.dilation[d];
        index /= c->window.kernel[d];
        valid_range(c, d, tap.at[d], &tap.lo[d], &tap.hi[d]);
    }
    return tap;
}

int64_t sal_columns_row(const struct sal_columns *c, const struct sal_tap *tap,
                        int64_t z, int64_t y)
{
    const struct sal_window *w = &c->window;
    int64_t iz = z * w->stride[0] - w->pad_begin[0] + tap->at[0];
    int64_t iy = y * w->stride[1] - w->pad_begin[1] + tap->at[1];
    return (iz * c->in[1] + iy) * c->in[2] - w->pad_begin[2] + tap->at[2];
}

/* ---- rows -------------------------------------------------------------------- */

/* A stretch of positions x0..x1-1 of row (z, y), of which lo..hi-1 read inside. */
struct stretch {
    int64_t x0, x1, lo, hi;
    int64_t at; /* the element that lo reads */
};

/* The stretch that begins at position p and ends with its row or at p1. */
static struct stretch stretch_at(const struct sal_columns *c, const struct sal_tap *tap,
                                 int64_t p, int64_t p1)
{
    int64_t x = p % c->out[2], row = p / c->out[2];
    int64_t y = row % c->out[1], z = row / c->out[1];
    struct stretch s = {.x0 = x, .x1 = sal_least(c->out[2], x + p1 - p)};
    bool outside =
        z < tap->lo[0] || z >= tap->hi[0] || y < tap->lo[1] || y >= tap->hi[1];
    s.lo = tap->lo[2] < s.x0 ? s.x0 : sal_least(tap->lo[2], s.x1);
    s.hi = outside ? s.lo : sal_least(tap->hi[2], s.x1);
    if (s.hi <= s.lo)
        s.lo = s.hi = s.x1;
    else
        s.at = sal_columns_row(c, tap, z, y) + s.lo * c->window.stride[2];
    return s;
}

static void gather(const sal_real *plane, int64_t stride, struct stretch s,
                   sal_real *line)
{
    memset(line, 0, sizeof(*line) * (size_t)(s.lo - s.x0));
    line += s.lo - s.x0;
    int64_t n = s.hi - s.lo;
    if (stride == 1)
        memcpy(line, plane + s.at, sizeof(*line) * (size_t)n);
    else
        for (int64_t i = 0; i < n; i++)
            line[i] = plane[s.at + i * stride];
    memset(line + n, 0, sizeof(*line) * (size_t)(s.x1 - s.hi));
}

void sal_columns_gather(const struct sal_columns *c, int64_t index,
                        const sal_real *plane, int64_t p0, int64_t p1, sal_real *line)
{
    const struct sal_tap tap = sal_columns_tap(c, index);
    for (int64_t p = p0; p < p1;) {
        struct stretch s = stretch_at(c, &tap, p, p1);
        gather(plane, c->window.stride[2], s, line);
        line += s.x1 - s.x0;
        p += s.x1 - s.x0;
    }
}

void sal_columns_scatter(const struct sal_columns *c, int64_t index, sal_real *plane,
                         int64_t p0, int64_t p1, const sal_real *line)
{
    const struct sal_tap tap = sal_columns_tap(c, index);
    int64_t stride = c->window.stride[2];
    for (int64_t p = p0; p < p1;) {
        struct stretch s = stretch_at(c, &tap, p, p1);
        sal_real *to = plane + s.at;
        for (int64_t i = 0; i < s.hi - s.lo; i++)
            to[i * stride] += line[s.lo - s.x0 + i];
        line += s.x1 - s.x0;
        p += s.x1 - s.x0;
    }
}
