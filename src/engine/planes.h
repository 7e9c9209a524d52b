/*
 * Planes under windows: what the pools share.
 *
 * N x C planes of 1 to 3 spatial axes, each crossed by one window. The macros visit
 * windows and the inputs that they cover, padding left out. Plain data, by value.
 */
#ifndef SALISCOPE_ENGINE_PLANES_H
#define SALISCOPE_ENGINE_PLANES_H

#include "kernel.h"
#include "window.h"

enum { SAL_D, SAL_H, SAL_W };

/* What MaxPool and AveragePool say; lies in node->attr. */
struct sal_pool_attr {
    struct sal_window window;
    int64_t include_pad;  /* AveragePool: count_include_pad */
    int64_t column_major; /* MaxPool: storage_order, of the indices */
};

/* Every rank as depth, height and width. */
struct sal_planes {
    struct sal_window window;
    int64_t in[SAL_WINDOW_AXES], out[SAL_WINDOW_AXES];
    int64_t in_plane, out_plane, planes;
};

/* Output 0, and where somebody wants them indices as output 1, for input 0 (of either
 * kind) under window. SAL_BAD_INPUT: fewer than 3 axes, windows that do not fit, or pads as large
 * as the kernel. */
enum sal_status sal_planes_infer(const struct sal_infer *infer,
                                 const struct sal_window *window, struct sal_error *err);

/* Of a kernel whose infer was sal_planes_infer with that window. */
struct sal_planes sal_planes_of(const struct sal_kernel *k, const struct sal_window *window);

/* sal_split of the planes, by what their windows cost. */
void sal_planes_split(const struct sal_kernel *k, const struct sal_planes *planes,
                      void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                                   int worker));

/* What one window covers along one axis: input positions at, at + step, ... */
struct sal_cover {
    int64_t at, n, step;
    int64_t padded; /* taps on padding counted in */
};

/* Taps before `end`, of those that begin at start. */
static inline int64_t sal_taps_before(int64_t start, int64_t kernel, int64_t step,
                                      int64_t end)
{
    if (start + (kernel - 1) * step < end)
        return kernel;
    return end > start ? (end - start + step - 1) / step : 0;
}

static inline struct sal_cover sal_planes_cover(const struct sal_planes *g, int axis,
                                                int64_t o)
{
    const struct sal_window *window = &g->window;
    int64_t kernel = window->kernel[axis], step = window->dilation[axis];
    int64_t start = o * window->stride[axis] - window->pad_begin[axis];
    int64_t first = start < 0 ? (-start + step - 1) / step : 0;
    int64_t past = sal_taps_before(start, kernel, step, g->in[axis]);
    return (struct sal_cover){
        .at = start + first * step,
        .n = past > first ? past - first : 0,
        .step = step,
        .padded =
            sal_taps_before(start, kernel, step, g->in[axis] + window->pad_end[axis]),
    };
}

/* What an average divides by. */
static inline sal_real sal_planes_divisor(bool include_pad, struct sal_cover d,
                                          struct sal_cover h, struct sal_cover w)
{
    int64_t n = include_pad ? d.padded * h.padded * w.padded : d.n * h.n * w.n;
    return (sal_real)(n ? n : 1);
}

/* Calls visit for every window of a plane, in order: o is its index, d, h and w what it
 * covers along each axis. */
#define SAL_EACH_WINDOW(g, visit)                                                \
    for (int64_t od = 0, o = 0; od < (g)->out[SAL_D]; od++) {                    \
        const struct sal_cover d = sal_planes_cover(g, SAL_D, od);               \
        for (int64_t oh = 0; oh < (g)->out[SAL_H]; oh++) {                       \
            const struct sal_cover h = sal_planes_cover(g, SAL_H, oh);           \
            for (int64_t ow = 0; ow < (g)->out[SAL_W]; ow++, o++) {              \
                const struct sal_cover w = sal_planes_cover(g, SAL_W, ow);       \
                visit;                                                           \
            }                                                                    \
        }                                                                        \
    }

/* Calls visit for every input position i of a window, in order. */
#define SAL_EACH_TAP(g, d, h, w, visit)                                          \
    for (int64_t td = 0; td < (d).n; td++)                                       \
        for (int64_t th = 0; th < (h).n; th++) {                                 \
            int64_t row = ((d).at + td * (d).step) * (g)->in[SAL_H];             \
            int64_t i = (row + (h).at + th * (h).step) * (g)->in[SAL_W] + (w).at; \
            for (int64_t tw = 0; tw < (w).n; tw++, i += (w).step)                \
                visit;                                                           \
        }

#endif
