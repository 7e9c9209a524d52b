/*
 * Images: bytes to samples, found by magic number, decoded in the sandbox.
 *
 * Samples keep the depth they are stored in (8 or up to 16 bits) until
 * preprocessing; nothing is windowed, gamma-corrected or flattened on the way.
 * EXIF orientation is obeyed, so (0,0) is the top left as a person sees it. An
 * image is plain data: it owns `samples`, may be shared read-only by threads.
 */
#ifndef SALISCOPE_IMAGE_H
#define SALISCOPE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "saliscope/file.h"
#include "saliscope/sandbox.h"
#include "saliscope/status.h"

enum {
    SAL_IMAGE_SIDE_MAX = 32768,       /* pixels, either side */
    SAL_IMAGE_PIXELS_MAX = 100000000, /* width * height */
};

struct sal_image {
    int width, height; /* 1..SAL_IMAGE_SIDE_MAX */
    int channels;      /* 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA */
    int bits;          /* 1..16, as stored in the file */
    unsigned max;      /* the stored value of white: (1 << bits) - 1, or 255 */
    int orientation;   /* EXIF 1..8 that was undone; 1 where there was none */
    const char *format; /* "PNG", "JPEG", ...; static text */
    uint16_t *samples; /* [height][width][channels], 0..max, row-major */
    char sha256[65];   /* of the file's bytes; "" for an image made here */
};

/* Reads path, sniffs it, decodes it. Limits are the two above and 1 GiB of
 * file. Errors name the file and what would be right. */
enum sal_status sal_image_load(struct sal_image *image, const char *path,
                               enum sal_sandbox_mode sandbox,
                               struct sal_error *err);

/* The same from bytes; name is only for messages. */
enum sal_status sal_image_decode(struct sal_image *image, struct sal_span bytes,
                                 const char *name, enum sal_sandbox_mode sandbox,
                                 struct sal_error *err);

/* An image of zeros to draw into. */
enum sal_status sal_image_init(struct sal_image *image, int width, int height,
                               int channels, int bits, struct sal_error *err);
void sal_image_release(struct sal_image *image);

/*
 * A loader is one format. decode() runs in the sandbox: it calls
 * sal_image_begin() with the geometry it found, which checks it and says where
 * the samples go, then fills them.
 */
struct sal_image_sink; /* private to src/io */

struct sal_image_loader {
    const char *name;       /* "PNG" */
    const char *extensions; /* "png": for completion and listings only */
    const char *title;      /* "Portable Network Graphics, 1 to 16 bits" */
    int (*sniff)(struct sal_span bytes); /* nonzero: these bytes are mine */
    enum sal_status (*decode)(struct sal_span bytes, struct sal_image_sink *sink,
                              struct sal_error *err);
};

/* All loaders, in the order they are asked; ends with NULL. */
extern const struct sal_image_loader *const sal_image_loaders[];

/* One key and text stored in a written PNG (iTXt, UTF-8). */
struct sal_image_note {
    const char *key;  /* 1..79 Latin-1 characters */
    const char *text; /* UTF-8 */
};

/* Encodes as PNG into buffer: depth 8 when image->max <= 255, else 16; dpi > 0
 * is stored as pHYs; notes may be NULL when n_notes is 0. */
struct sal_buffer;
enum sal_status sal_image_encode_png(const struct sal_image *image, double dpi,
                                     const struct sal_image_note *notes,
                                     int n_notes, struct sal_buffer *buffer,
                                     struct sal_error *err);

/* What JPEG leaves of samples [height][width][channels] in 0..255, in their place: 1 channel, or
 * 3 (RGB, whose colour is halved both ways, 4:2:0, as libjpeg and Pillow do unless
 * told). quality 1..100 as libjpeg counts. Nothing is read that was not written here. */
enum sal_status sal_image_through_jpeg(uint8_t *samples, int width, int height, int channels,
                                       int quality, struct sal_error *err);

#endif
