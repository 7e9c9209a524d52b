/*
 * The workbench's state, and the panes that show it.
 *
 * The loop turns keys, signals and the session's wake-ups into requests; requests
 * change this state; panes draw it. Panes only read. Main thread only.
 */
#ifndef SALISCOPE_TUI_APP_H
#define SALISCOPE_TUI_APP_H

#include "change.h"
#include "draw.h"
#include "facts.h"
#include "frame.h"
#include "keys.h"
#include "prompt.h"
#include "saliscope/clock.h"
#include "saliscope/tui.h"
#include "terminal.h"

/* What the workbench does with an image. Each task has a question of its own and shows its
 * own answer, in the same panes; all ask about one class. */
enum sal_task_id { SAL_TASK_EXPLAIN, SAL_TASK_PROBE, SAL_TASKS };

/* What of a probe is laid over the image; all but the change wants a method beside it. */
enum sal_laid { SAL_LAID_CHANGE, SAL_LAID_BEFORE, SAL_LAID_AFTER, SAL_LAIDS };

struct sal_app {
    struct sal_session *session;
    const struct sal_model *model;
    const struct sal_tui_options *options;
    struct sal_terminal terminal;
    const struct sal_encoder *encoder;
    struct sal_screen layout;
    WINDOW *window[SAL_PANES]; /* NULL where not shown */
    struct sal_snapshot snapshot;

    int image;       /* index of the one asked for */
    int class_index; /* that the user asks about; -1: the model's first */
    enum sal_task_id task;
    struct sal_session_ask ask[SAL_TASKS];   /* what the user asks; class_index is above */
    struct sal_session_ask asked[SAL_TASKS]; /* what the session was asked last */
    enum sal_task_id under_way;              /* while the session is not idle */
    struct sal_view view[SAL_TASKS];
    enum sal_show show[SAL_TASKS];
    bool grid;
    enum sal_laid laid;
    int magnified;            /* which of the sizes in which a change is added to the image */
    struct sal_change change; /* of the answer that is shown */
    struct sal_frame frame;
    struct sal_rect picture, bar; /* on the screen */

    int *order; /* classes, the highest score first; n_order of them */
    int n_order;
    unsigned order_serial;
    int facts_top, facts_rows; /* first row shown; rows there are */

    bool help;
    int help_top;
    struct sal_prompt prompt;
    void (*entered)(struct sal_app *app); /* what its text is for */
    void (*typed)(struct sal_app *app);   /* makes the hint fit the text; NULL: it stays */
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

/* What differs from task to task: one row each. */
struct sal_task {
    enum sal_result result;     /* that files are about meanwhile */
    bool charts;                /* there is room for a chart */
    const enum sal_show *views; /* as one key goes round them; the first is the usual one */
    int n_views;
    /* Takes the method or probe that is next in the list, or (by -1) the one before. */
    void (*step)(struct sal_app *app, int by);
    /* The question of the answer that is there; NULL: there is none. */
    const struct sal_session_ask *(*answered)(const struct sal_snapshot *snapshot);
    /* Sets what is laid over the image. */
    void (*picture)(struct sal_app *app, struct sal_frame_ask *ask);
    /* What the picture shows, in a few words, and the line below it. */
    void (*title)(const struct sal_app *app, char *dst, size_t capacity);
    void (*caption)(const struct sal_canvas *canvas, const struct sal_app *app, int y);
    /* What there is to tell of the answer. */
    void (*facts)(struct sal_facts *at);
    /* The logits to show beside those of the image; NULL: none. The function may be NULL. */
    const sal_real *(*after)(const struct sal_app *app);
};

extern const struct sal_task sal_task_explain, sal_task_probe;

/* The task that is shown. */
const struct sal_task *sal_app_task(const struct sal_app *app);

extern const struct sal_pane sal_pane_image, sal_pane_chart, sal_pane_scores, sal_pane_facts,
    sal_pane_status, sal_pane_footer, sal_pane_help;

/* Does what a key asks for. */
void sal_app_act(struct sal_app *app, enum sal_request request);

/* Asks the session the task's question: at once (of that image, NULL: of the one asked for
 * last), or in a moment, as the user may go on. */
void sal_app_ask_now(struct sal_app *app, const char *image);
void sal_app_ask_soon(struct sal_app *app);

/* Asks when the time for it has come. */
void sal_app_ask_when_due(struct sal_app *app);

/* The question of the task that is shown; the class of an answer may be another one. */
struct sal_session_ask *sal_app_ask(struct sal_app *app);

/* How the map of the task is drawn. */
struct sal_view *sal_app_view(struct sal_app *app);
double sal_app_opacity(const struct sal_app *app);

/* How many times a change is added to the image where it is shown so. */
double sal_app_magnified(const struct sal_app *app);

/* What the chart shows; SAL_PROBE_PLOTS: there is none. */
enum sal_probe_plot_kind sal_app_chart(const struct sal_app *app);

/* Goes on to another task: asks its question unless it has that answer, or is about to. */
void sal_app_switch(struct sal_app *app, enum sal_task_id task);

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

/* Of the method or the probe that is asked for: its title, its short name, what can be set. */
const char *sal_ask_title(const struct sal_session_ask *ask);
const char *sal_ask_name(const struct sal_session_ask *ask);
const struct sal_param *sal_ask_params(const struct sal_session_ask *ask);

/* The last part of a path. */
const char *sal_app_basename(const char *path);

/* Rows the help takes. */
int sal_help_rows(void);

#endif
