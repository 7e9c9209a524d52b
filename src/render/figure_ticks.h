/*
 * The numbers beside a colour bar.
 */
#ifndef SALISCOPE_RENDER_FIGURE_TICKS_H
#define SALISCOPE_RENDER_FIGURE_TICKS_H

#include "saliscope/overlay.h"

enum { SAL_TICKS = 5 };

struct sal_ticks {
    int n;                     /* SAL_TICKS; 1 in a blank range */
    double at[SAL_TICKS];      /* 0 lowest end of the bar .. 1 highest */
    char label[SAL_TICKS][48]; /* all with the same decimals, the same everywhere */
    int exponent;              /* labels times 10^exponent are the values; mostly 0 */
};

struct sal_ticks sal_ticks_of(struct sal_range range);

/* "x10^exponent unit", in proper characters; "" where there is neither. */
void sal_ticks_unit(const struct sal_ticks *ticks, const char *unit, char *text,
                    size_t size);

#endif
