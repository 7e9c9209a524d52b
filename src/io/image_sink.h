/*
 * Where a loader puts what it decodes.
 *
 * A file is decoded in two runs of the same decode(): the first only asks for
 * the geometry, so that the second gets room for exactly that many samples.
 * Both run in the sandbox; the head and the samples lie in memory shared with
 * the parent, which believes nothing it has not checked itself.
 */
#ifndef IO_IMAGE_SINK_H
#define IO_IMAGE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "saliscope/status.h"

/* As in struct sal_image, before the orientation is undone. */
struct sal_image_head {
    int32_t width, height, channels, bits;
    uint32_t max;
    int32_t orientation;
};

struct sal_image_sink {
    struct sal_image_head *head; /* what was found */
    uint16_t *samples;           /* NULL: only the head is wanted */
    size_t capacity;             /* samples there is room for */
};

/* Is an image of this size within the limits? For decoders that know it before
 * they know the rest. */
enum sal_status sal_image_check_size(uint64_t width, uint64_t height,
                                     struct sal_error *err);

/* Checks the geometry and says where the samples go, zeroed, in row order. When
 * only the head is wanted it returns SAL_CANCELLED without touching err: the
 * decoder cleans up and returns that. */
enum sal_status sal_image_begin(struct sal_image_sink *sink,
                                const struct sal_image_head *head,
                                uint16_t **samples, struct sal_error *err);

/* Spreads count bytes that lie at the start of `row` over count samples. */
void sal_image_widen(uint16_t *row, size_t count);

extern const struct sal_image_loader sal_image_png;
extern const struct sal_image_loader sal_image_jpeg;
extern const struct sal_image_loader sal_image_bmp;
extern const struct sal_image_loader sal_image_pnm;
extern const struct sal_image_loader sal_image_tga;

#endif
