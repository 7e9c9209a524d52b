/*
 * What the commands share: how they speak, how they open a session, how they wait.
 * Results go to standard output, everything said about them to standard error.
 */
#ifndef SALISCOPE_CLI_CLI_H
#define SALISCOPE_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "options.h"
#include "saliscope/arena.h"
#include "saliscope/cells.h"
#include "saliscope/json.h"
#include "saliscope/session.h"

struct cli {
    struct options options;
    struct sal_buffer program; /* the command line, quoted */
    struct sal_session *session;
    int wake;      /* of the session's worker */
    bool json, quiet, progress, color;
    bool previews; /* of the session; somebody looks at it while it works */
};

/* A command; returns the exit status. */
int cmd_open(struct cli *cli);
int cmd_classify(struct cli *cli);
int cmd_explain(struct cli *cli);
int cmd_probe(struct cli *cli);
int cmd_inspect(struct cli *cli);
int cmd_list(struct cli *cli);
int cmd_bench(struct cli *cli);
int cmd_doctor(struct cli *cli);

/* ---- speaking ------------------------------------------------------------------- */

/* "saliscope: text" on standard error, cleaned; returns the exit status. */
int cli_fail(const struct sal_error *err);
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const struct cli *cli, const char *text);

/* Flushes standard output; what could not be written is an error. */
int cli_finish(int status);

/* Starts and stops bold text, when colours are on. */
const char *cli_bold(const struct cli *cli);
const char *cli_plain(const struct cli *cli);

/* Prints a finished document. */
int cli_print_json(const struct sal_json *json);

/* ---- what standard output shows ---------------------------------------------------- */

/* As the environment says; switched off or not. */
enum sal_depth cli_depth(void);
bool cli_unicode(void);
int cli_columns(void); /* 0: it is no terminal */

/* Row by row, foreground colours only; on the terminal's own ground. */
void cli_print_cells(const struct sal_cells *cells, enum sal_depth depth, const char *indent);

/* ---- the session ------------------------------------------------------------------ */

/* Opens the model, prints its warnings. */
enum sal_status cli_open_session(struct cli *cli, const char *model,
                                 struct sal_error *err);

/* -M or -A, -P -c -l as a question about one class, or as one question for each class; free()
 * them. And how to draw the answer. */
enum sal_status cli_ask(struct cli *cli, struct sal_session_ask *ask,
                        struct sal_error *err);
enum sal_status cli_ask_each(struct cli *cli, struct sal_session_ask **asks, int *n,
                             struct sal_error *err);
enum sal_status cli_ask_probe(struct cli *cli, struct sal_session_ask *ask,
                              struct sal_error *err);
enum sal_status cli_view(const struct cli *cli, struct sal_view *view,
                         struct sal_error *err);
enum sal_sandbox_mode cli_sandbox(const struct cli *cli);

/* Of every operand in turn all n questions: asks, waits (with progress), writes the -o files,
 * and shows the answer or collects the JSON document. asks NULL: scores only. */
int cli_run_cases(struct cli *cli, const struct sal_session_ask *asks, int n,
                  void (*show)(struct cli *cli, const struct sal_snapshot *snapshot));

struct cli_table;
/* Of a probe: what became of maps. */
void cli_add_explained(struct cli_table *table, const struct sal_snapshot *snapshot);

/* ---- signals ------------------------------------------------------------------------ */

/* SIGINT asks the work to stop, a second one ends at once; a mapped file that
 * shrank (SIGBUS) is told in one line naming it. */
void cli_catch_signals(const char *model);
bool cli_interrupted(void);

/* ---- tables --------------------------------------------------------------------------- */

/* Text in aligned columns. `align` has one letter a column, 'l' or 'r'. */
struct cli_table {
    const char *align;
    struct sal_arena arena;
    char **cell;
    int n, capacity;
};

/* The next cell, cleaned; rows fill from the left. */
void cli_table_add(struct cli_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints with two spaces between columns and releases the table. */
void cli_table_print(struct cli_table *table, FILE *out, const char *indent);

#endif
