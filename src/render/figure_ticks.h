/*
 * The numbers beside a colour bar and along the axes of a plot.
 */
#ifndef SALISCOPE_RENDER_FIGURE_TICKS_H
#define SALISCOPE_RENDER_FIGURE_TICKS_H

#include "saliscope/overlay.h"

enum { SAL_TICKS = 5, SAL_TICKS_MAX = 10 };

struct sal_ticks {
    int n;                     /* SAL_TICKS unless asked otherwise; 1 in a blank range */
    double at[SAL_TICKS_MAX];  /* 0 lowest end of the bar .. 1 highest */
    char label[SAL_TICKS_MAX][48]; /* all with the same decimals, the same everywhere */
    int exponent;              /* labels times 10^exponent are the values; mostly 0 */
};

struct sal_ticks sal_ticks_of(struct sal_range range);

/* n of them, 2 to SAL_TICKS_MAX, at even steps. */
struct sal_ticks sal_ticks_even(struct sal_range range, int n);

/* Cuts decimals that are zeros in all labels. */
void sal_ticks_trim(struct sal_ticks *ticks);

/* Powers of two within a range of positive numbers, `at` by their logarithm: each, or each
 * second and so on where there are many. Both ends where there are no two. Labels are
 * sal_ticks_number()'s; the exponent is 0. */
struct sal_ticks sal_ticks_log2(struct sal_range range);

/* Three significant digits, more where a whole number has them, without zeros behind:
 * "0.25", "4096", "1.53e-5". */
void sal_ticks_number(double value, char *text, size_t size);

/* The ends get <= and >=, as they stand for what lies beyond them, too. */
void sal_ticks_mark(struct sal_ticks *ticks, bool below, bool above);

/* "x10^exponent unit", in proper characters; "" where there is neither. */
void sal_ticks_unit(const struct sal_ticks *ticks, const char *unit, char *text,
                    size_t size);

#endif
