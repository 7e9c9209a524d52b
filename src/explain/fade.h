/*
 * Windows that fade: how MONAI's OcclusionSensitivity hides a part and blends the answers.
 */
#ifndef SALISCOPE_EXPLAIN_FADE_H
#define SALISCOPE_EXPLAIN_FADE_H

#include "saliscope/status.h"

/* Tables [side][side], in one block: sal_fade_release frees them. */
struct sal_fade {
    double *shown;  /* how much of a pixel is left: 0 in the middle, 1 in the farthest corner,
                       one less a Gaussian of sd side / 4, scaled */
    double *weight; /* how much a window counts for a pixel: a Gaussian of sd side / 8, at
                       least 1e-3 */
};

enum sal_status sal_fade_init(struct sal_fade *fade, int side, struct sal_error *err);
void sal_fade_release(struct sal_fade *fade);

#endif
