/*
 * How long things take. Any thread.
 */
#ifndef SALISCOPE_CLOCK_H
#define SALISCOPE_CLOCK_H

/* Seconds since some moment that never changes: nobody sets this clock. */
double sal_seconds(void);

#endif
