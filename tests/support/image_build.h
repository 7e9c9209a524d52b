/*
 * Small image files, made by hand or by the format's own library, for tests that
 * must not depend on data from elsewhere.
 */
#ifndef SUPPORT_IMAGE_BUILD_H
#define SUPPORT_IMAGE_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/buffer.h"
#include "saliscope/image.h"

/* samples[height][width][components]: 1 grey, 3 RGB, 4 inverted CMYK; quality 100,
 * no subsampling. */
void build_jpeg(struct sal_buffer *file, const uint8_t *samples, int width, int height,
                int components, bool progressive);

/* The same picture with an EXIF block that gives this orientation. */
void build_jpeg_turned(struct sal_buffer *file, struct sal_span jpeg, int orientation);

void build_png(struct sal_buffer *file, const uint16_t *samples, int width, int height,
               int channels, int bits);

/* A PNG of this IHDR and nothing that deserves the name of data. */
void build_png_header(struct sal_buffer *file, uint32_t width, uint32_t height);

/* Puts a chunk right behind the IHDR. */
void build_png_chunk(struct sal_buffer *file, struct sal_span png, const char type[4],
                     struct sal_span data);

/* rgb[height][width][3]; 24 bits, from the bottom up. */
void build_bmp(struct sal_buffer *file, const uint8_t *rgb, int width, int height);
/* The same, run-length encoded. */
void build_tga(struct sal_buffer *file, const uint8_t *rgb, int width, int height);

struct sal_span build_span(const struct sal_buffer *file);

#endif
