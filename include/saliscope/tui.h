/*
 * The terminal workbench: ncurses panes over one session. Main thread only; one
 * at a time. The terminal is left as it was found, also after SIGTERM or a
 * crash.
 */
#ifndef SALISCOPE_TUI_H
#define SALISCOPE_TUI_H

#include "saliscope/session.h"

struct sal_tui_options {
    const char *const *images; /* paths; n_images >= 1 */
    int n_images;
    struct sal_session_ask ask; /* the first question, of a map */
    struct sal_session_ask probe; /* of a probe, which is asked first then; probe NULL: maps
                                     are, and the default probe when it comes to that */
    struct sal_view view;
    int colors;  /* -1: find out; 0, 16, 256 or 1 << 24 */
    bool ascii;  /* no characters beyond ASCII */
};

/* Runs until the user quits. SAL_USAGE when there is no usable terminal. */
enum sal_status sal_tui_run(struct sal_session *session,
                            const struct sal_tui_options *options,
                            struct sal_error *err);

/* One row per key: what the help pane, the footer, `list keys` and the manual
 * show. keys NULL ends the table. */
struct sal_tui_key {
    const char *keys; /* "q", "Left, h" */
    const char *help; /* one sentence without full stop */
};
extern const struct sal_tui_key sal_tui_keys[];

#endif
