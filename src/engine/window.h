/*
 * Windows: the sliding neighbourhood that Conv and the pools share.
 *
 * One window per spatial axis, for 1 to 3 spatial axes. Parsing reads what the
 * node says; fitting to an input of known size gives explicit pads and the
 * output's size, so that kernels never see auto_pad or ceil_mode. Plain data.
 */
#ifndef SALISCOPE_ENGINE_WINDOW_H
#define SALISCOPE_ENGINE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "op.h"

enum { SAL_WINDOW_AXES = 3 };

enum sal_auto_pad {
    SAL_PAD_NOTSET, /* pad_begin and pad_end count */
    SAL_PAD_SAME_UPPER,
    SAL_PAD_SAME_LOWER,
    SAL_PAD_VALID,
};

struct sal_window {
    int rank; /* spatial axes, 1..3; 0: the node did not say (Conv, no lists) */
    int64_t kernel[SAL_WINDOW_AXES]; /* 0: the node did not say (Conv) */
    int64_t stride[SAL_WINDOW_AXES];
    int64_t dilation[SAL_WINDOW_AXES];
    int64_t pad_begin[SAL_WINDOW_AXES];
    int64_t pad_end[SAL_WINDOW_AXES];
    int auto_pad; /* enum sal_auto_pad */
    bool ceil;
};

/* Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode, for
 * Conv and pools of opset 1 to 27. All entries of all axes are filled: ones, and
 * zeros for pads, where the node is silent. rank: the number of spatial axes;
 * -1: as many as kernel_shape has, which must be there; 0: as many as any of the
 * lists has. Negative or zero strides, kernels, dilations, negative pads, and
 * lists whose lengths disagree are SAL_BAD_INPUT; over 3 axes SAL_UNSUPPORTED. */
enum sal_status sal_window_parse(const struct sal_node *node,
                                 const struct sal_onnx_node *source, int rank,
                                 struct sal_window *window, struct sal_error *err);

/* Fits a window to `rank` spatial dims. kernel: the weight's spatial dims, which
 * kernel_shape must equal where it is given; NULL for pools. *fitted is the window
 * with explicit pads (auto_pad NOTSET, ceil false); out[rank] the output dims,
 * each at least 1. SAME: ceil(in / stride), the odd pad at the end (UPPER) or at
 * the beginning (LOWER). ceil_mode counts a last partial window unless it would
 * begin behind the input and its leading pad (as PyTorch); such a window reaches
 * over pad_end, and what it finds there is neither input nor padding. fitted may
 * be window. */
enum sal_status sal_window_output(const struct sal_node *node,
                                  const struct sal_window *window, int rank,
                                  const int64_t *kernel, const int64_t *in,
                                  struct sal_window *fitted, int64_t *out,
                                  struct sal_error *err);

/* What a transposed window may say beside itself, an entry for each axis; NULL: not. */
struct sal_window_target {
    const int64_t *padding; /* output_padding: more elements at the end */
    const int64_t *out;     /* output_shape: the pads follow from it */
};

/* The other way, of ConvTranspose and MaxUnpool: `in` window positions spread over out
 * elements, (in - 1) * stride + padding + reach less the pads. SAME gives in * stride.
 * Where the size decides, the pads are shared out, the odd one at the end (UPPER) or at
 * the beginning; they are never negative. Fitting the result to `out` gives at least
 * `in` positions. */
enum sal_status sal_window_transpose(const struct sal_node *node,
                                     const struct sal_window *window, int rank,
                                     const int64_t *kernel, const int64_t *in,
                                     struct sal_window_target target,
                                     struct sal_window *fitted, int64_t *out,
                                     struct sal_error *err);

/* Moves the axes to the back of three, with windows of one and dims of one in
 * front, so that a kernel written for depth, height and width serves all ranks. */
void sal_window_lift(struct sal_window *window, int64_t in[SAL_WINDOW_AXES],
                     int64_t out[SAL_WINDOW_AXES]);

#endif
