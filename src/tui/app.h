/*
 * The workbench's state, and the panes that show it.
 *
 * The loop turns keys, signals and the session's wake-ups into requests; requests
 * change this state; panes draw it. Panes only read. Main thread only.
 */
#ifndef SALISCOPE_TUI_APP_H
#define SALISCOPE_TUI_APP_H

#include "draw.h"
#include "frame.h"
#include "keys.h"
#include "prompt.h"
#include "saliscope/tui.h"
#include "terminal.h"

struct sal_app {
    struct sal_session *session;
    const struct sal_model *model;
    const struct sal_tui_options *options;
    struct sal_terminal terminal;
    const struct sal_encoder *encoder;
    struct sal_screen layout;
    WINDOW *window[SAL_PANES]; /* NULL where not shown */
    struct sal_snapshot snapshot;

    int image;                   /* index of the one asked for */
    struct sal_session_ask ask;  /* what the user asks of it */
    struct sal_view view;
    enum sal_show show;
    bool grid;
    struct sal_frame frame;
    struct sal_rect picture, bar; /* on the screen */

    int *order; /* classes, the highest score first; n_order of them */
    int n_order;
    unsigned order_serial;
    int facts_top, facts_rows; /* first row shown; rows there are */

    bool help;
    int help_top;
    struct sal_prompt prompt;
    struct sal_error message; /* status SAL_OK: good news */
    double message_until;     /* 0: none */
    double ask_at;            /* when the changed question is asked; 0: it was */
    double since;             /* when the work under way began; 0: none */
    bool repaint;             /* the pictures may have been overwritten */
    bool quit;
    int quit_signal;
};

struct sal_pane {
    const char *name;
    void (*draw)(const struct sal_canvas *canvas, struct sal_app *app);
};

extern const struct sal_pane sal_pane_image, sal_pane_scores, sal_pane_facts,
    sal_pane_status, sal_pane_footer, sal_pane_help;

/* Does what a key asks for. */
void sal_app_act(struct sal_app *app, enum sal_request request);

/* Asks the session when the time for it has come; the user may have gone on. */
void sal_app_ask_when_due(struct sal_app *app);

/* The prompt was entered: writes the file it names. */
void sal_app_save(struct sal_app *app);

/* Says something in the status line for a while. */
void sal_app_say(struct sal_app *app, enum sal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sorts the classes by score when the scores are new. */
void sal_app_order(struct sal_app *app);

/* The class that is chosen: the user's, else the model's first; -1: no scores. */
int sal_app_class(const struct sal_app *app);

/* The probability from which a class is flagged; NAN: there is none. */
double sal_app_threshold(const struct sal_app *app, int class_index);

/* The image asked for is the one in the snapshot. */
bool sal_app_image_current(const struct sal_app *app);

/* The last part of a path. */
const char *sal_app_basename(const char *path);

/* A monotonic clock in seconds. */
double sal_app_now(void);

/* Rows the help takes. */
int sal_help_rows(void);

#endif
