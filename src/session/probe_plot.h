/*
 * How the kinds of plots of a probe's answer are made; each is a row in probe_plot.c.
 */
#ifndef SALISCOPE_SESSION_PROBE_PLOT_H
#define SALISCOPE_SESSION_PROBE_PLOT_H

#include "saliscope/session.h"

/* What all kinds are made from. */
struct sal_plotted {
    const struct sal_probe_answer *answer;
    const struct sal_model *model;
    int class_index;
    unsigned white;
};

/* Of the texts of a plot; from SAL_PLOT_NAMES on they are a kind's own. */
enum { SAL_PLOT_X, SAL_PLOT_Y, SAL_PLOT_THRESHOLD, SAL_PLOT_GIVEN, SAL_PLOT_FLIP, SAL_PLOT_NAMES };

/* The axis of the score that people know, and lines at the threshold and at the score of the
 * picture as given. */
enum sal_status sal_plot_score(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                               struct sal_error *err);

/* The kinds of pictures that were tried, one by one. */
bool sal_plot_has_setting(const struct sal_probe_answer *answer);
enum sal_status sal_plot_setting(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                                 struct sal_error *err);
bool sal_plot_has_severity(const struct sal_probe_answer *answer);
enum sal_status sal_plot_severity(const struct sal_plotted *plotted,
                                  struct sal_probe_plot *plot, struct sal_error *err);

/* Of an attack on the explanation. */
bool sal_plot_has_overlap(const struct sal_probe_answer *answer);
enum sal_status sal_plot_overlap(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                                 struct sal_error *err);

#endif
