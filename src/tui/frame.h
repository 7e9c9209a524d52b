/*
 * The picture in the image pane: the image, the map over it, and the colour bar,
 * as cells. Each step is kept and made again only when what it depends on has
 * changed, so that a key that changes nothing here costs nothing. Owns what it
 * keeps. Main thread only.
 */
#ifndef SALISCOPE_TUI_FRAME_H
#define SALISCOPE_TUI_FRAME_H

#include <stdbool.h>

#include "saliscope/cells.h"
#include "saliscope/explain.h"
#include "saliscope/image.h"
#include "saliscope/overlay.h"
#include "saliscope/session.h"

/* What of the two is shown. */
enum sal_show {
    SAL_SHOW_OVERLAY,
    SAL_SHOW_IMAGE,
    SAL_SHOW_MAP,
    SAL_SHOW_BESIDE, /* the image, and the map beside it; OVERLAY where that is too much */
    SAL_SHOW_ADDED,  /* the image with the map added to it, which is in its units */
};

/* Everything a frame depends on. */
struct sal_frame_ask {
    const struct sal_image *image; /* NULL: nothing yet */
    const struct sal_map *map;     /* NULL: none */
    unsigned serial;               /* the snapshot's: another map when it differs */
    const struct sal_preprocessing *preprocessing;
    struct sal_view view;
    enum sal_show show;
    bool grid; /* the method's own grid, not interpolated */
    double added; /* of SAL_SHOW_ADDED: a 1 in the map is that much of the image's range;
                     where the map has three channels they are red, green, blue */
    const struct sal_encoder *encoder;
    enum sal_depth depth;
    bool unicode;
    int columns, rows; /* room for the picture, without the bar */
};

struct sal_frame {
    struct sal_frame_ask ask;   /* what the cells were made for */
    enum sal_show shown;        /* of ask.show */
    char sha256[65];            /* of the image in base */
    struct sal_picture base;    /* the image at the size it is shown */
    float *plane;               /* the map at that size; NULL: none */
    struct sal_range range;     /* of the map's own values */
    double beyond;              /* their share outside of it */
    struct sal_range bar_range; /* what the ends of the colour bar stand for */
    const struct sal_colormap *colormap;
    struct sal_cells picture, bar; /* columns 0: nothing */
    double marked_percent; /* without colours: how many cells are marked, and the */
    float marked_from;     /* magnitude above which they are */
    unsigned generation;           /* counts encodings */
};

/* Brings the cells up to date with ask. */
enum sal_status sal_frame_update(struct sal_frame *frame,
                                 const struct sal_frame_ask *ask,
                                 struct sal_error *err);
void sal_frame_release(struct sal_frame *frame);

#endif
