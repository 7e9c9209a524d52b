/*
 * cairo names the images in an SVG file after a counter of the process; here they
 * are numbered anew from 1, so that the same figure is the same file.
 */
#ifndef SALISCOPE_RENDER_FIGURE_SVG_H
#define SALISCOPE_RENDER_FIGURE_SVG_H

#include "saliscope/buffer.h"

/* Appends svg to out. Ids are what follows `id="` or `#`: letters, then digits. */
void sal_svg_renumber(const struct sal_buffer *svg, struct sal_buffer *out);

#endif
