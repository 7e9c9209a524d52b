/*
 * Corruptions by severity: what one of them and all of them together do alike.
 */
#ifndef SALISCOPE_PROBE_CORRUPTION_SCAN_H
#define SALISCOPE_PROBE_CORRUPTION_SCAN_H

#include "corruption.h"

/* One way of one corruption, and what came of it. */
struct sal_corruption_path {
    const struct sal_corruption *kind;
    const struct sal_corruption_way *way;
    double settings[SAL_SEVERITIES]; /* in the order in which they are tried */
    int n, first;                    /* how many; the severity of the first, 0: none */
    int draws;
    struct sal_attempt *once;   /* [n], the first draw */
    struct sal_attempt *again;  /* [draws - 1][n], `stride` from draw to draw */
    int stride;
    int flipped;                /* the first of the settings where a draw flips; -1: none */
    struct sal_attempt nearest; /* the least setting that flips, once refined */
};

struct sal_attempt *sal_corruption_attempt(const struct sal_corruption_path *path, int setting,
                                           int draw);

struct sal_corruption_scan {
    struct sal_search *search;
    struct sal_corruption_path *paths;
    int n_paths;
    struct sal_attempt *attempts; /* all of the first draws, then all of the second, so that
                                     what is seen when it is stopped is of everything */
    int n_attempts;
    int draws, refinements;
    bool refined; /* least settings were searched, and all was seen */
};

/* Scans these (n), by the parameters of the probe; sal_corruption_scan_release() it, whatever
 * is returned. Where it was cancelled, what was seen is in it. */
enum sal_status sal_corruption_scan(struct sal_corruption_scan *scan, struct sal_search *search,
                                    const struct sal_corruption *const *kinds, int n,
                                    struct sal_error *err);
void sal_corruption_scan_release(struct sal_corruption_scan *scan);

/* What was tried, into the answer's trials. */
enum sal_status sal_corruption_put_trials(const struct sal_corruption_scan *scan,
                                          struct sal_error *err);

/* The severity at which the corruption flips first, by any of its ways; 0: it holds. *path:
 * which way; may be NULL. */
int sal_corruption_flips_at(const struct sal_corruption_scan *scan,
                            const struct sal_corruption *kind,
                            const struct sal_corruption_path **path);

/* Of its setting. */
const char *sal_corruption_unit(const struct sal_corruption *kind);

/* " (1 of 40)", of the draws at the setting where the path flips; "" where nothing is drawn.
 * dst is returned. */
const char *sal_corruption_draws_text(const struct sal_corruption_path *path, char *dst,
                                      size_t capacity);

#endif
