/*
 * The one thing taken from EXIF: which way up the picture is. No state.
 */
#ifndef IO_EXIF_H
#define IO_EXIF_H

#include <stdint.h>

#include "saliscope/file.h"

/* The orientation 1..8 in a TIFF block (what follows "Exif\0\0" in a JPEG, the
 * whole eXIf chunk of a PNG); 1 when there is none or the block is malformed. */
int sal_exif_orientation(struct sal_span tiff);

/* Copies [height][width][channels] samples as `orientation` wants them shown;
 * above 4 the result is [width][height][channels]. Samples are held to max. */
void sal_exif_undo(int orientation, const uint16_t *samples, int width, int height,
                   int channels, unsigned max, uint16_t *out);

#endif
