/*
 * Options: one declared table, from which parsing, errors and help all come.
 *
 * An option is one row in options.c: its name, what it takes, which commands know
 * it. Values are checked while parsing; a command reads them by their id. Parsed
 * options point into argv.
 */
#ifndef SALISCOPE_CLI_OPTIONS_H
#define SALISCOPE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "saliscope/status.h"

/* Commands as bits, for the rows. */
enum {
    CMD_OPEN = 1 << 0,
    CMD_CLASSIFY = 1 << 1,
    CMD_EXPLAIN = 1 << 2,
    CMD_INSPECT = 1 << 3,
    CMD_LIST = 1 << 4,
    CMD_DOCTOR = 1 << 5,
    CMD_BENCH = 1 << 6,
    CMD_PROBE = 1 << 7,
};

enum option_id {
    OPT_MODEL, OPT_SIDECAR, OPT_PRESET, OPT_SCORE, OPT_FORCE_OPSET,
    OPT_METHOD, OPT_LIKE, OPT_PROBE, OPT_ROI, OPT_WHERE, OPT_PARAM, OPT_CLASS, OPT_LAYER,
    OPT_OUTPUT, OPT_AT, OPT_CHANNELS, OPT_TOP,
    OPT_COLORMAP, OPT_ALPHA, OPT_RANGE, OPT_CONTOUR,
    OPT_VERIFY, OPT_TOLERANCE,
    OPT_GRADIENT, OPT_RUNS,
    OPT_SEED, OPT_THREADS, OPT_BATCH, OPT_EXACT, OPT_PRECISION, OPT_MEMORY,
    OPT_JSON, OPT_QUIET, OPT_NO_PROGRESS, OPT_COLOR, OPT_ASCII,
    OPT_SHOW_PHI, OPT_REDACT_PATHS, OPT_REQUIRE_SANDBOX, OPT_NO_SANDBOX,
    OPT_HELP, OPT_N,
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_REAL, OPTION_BYTES,
                   OPTION_CHOICE };

struct option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum option_kind kind;
    const char *argument;       /* "MODEL"; NULL for a flag */
    double min, max;            /* of numbers, inclusive */
    const char *const *choices; /* of OPTION_CHOICE; ends with NULL */
    bool many;                  /* may be given more than once */
    unsigned commands;          /* of CMD_ */
    const char *help;           /* one phrase */
};

extern const struct option option_table[OPT_N];

struct option_values {
    int count;
    const char **text;
    double number; /* of the last; a choice's index; 1 for a flag */
};

struct options {
    struct option_values value[OPT_N];
    const char **operands;
    int n_operands;
    const char **storage;
};

/* Parses argv[first..] for one command. SAL_USAGE says what is wrong and, for a
 * name that is not known, which was probably meant. */
enum sal_status options_parse(struct options *options, int argc, char **argv, int first,
                              unsigned command, struct sal_error *err);
void options_release(struct options *options);

bool option_given(const struct options *options, enum option_id id);
/* The last value, or fallback. */
const char *option_text(const struct options *options, enum option_id id,
                        const char *fallback);
double option_number(const struct options *options, enum option_id id, double fallback);

/* The rows of one command, aligned. */
void options_print(FILE *out, unsigned command);

/* Which of many names was probably meant: offer each, then read `best` (NULL:
 * nothing is near). Start with {.word = ...}. */
struct nearest {
    const char *word, *best;
    int distance;
};
void nearest_offer(struct nearest *nearest, const char *name);

#endif
