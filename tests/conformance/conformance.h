/*
 * The conformance runner: ONNX's backend tests, each in a child of its own.
 *
 *     find.c     test folders below a root
 *     trial.c    one test, in the child: what came of it
 *     farm.c     children in parallel, with time and memory limits
 *     list.c     what came of every test the last time it was accepted
 *     report.c   lines, tables, totals
 *     selftest.c the parent against children that loop, hoard, crash or lie
 *
 * What outcomes mean is in docs/conformance.md.
 */
#ifndef TESTS_CONFORMANCE_H
#define TESTS_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum outcome {
    OUTCOME_NONE, /* the child said nothing */
    OUTCOME_PASS,
    OUTCOME_FAIL,
    OUTCOME_SKIP_OP,
    OUTCOME_SKIP_DTYPE,
    OUTCOME_SKIP_DATA,
    OUTCOME_CRASH,
    OUTCOMES,
};

/* What a child sends its parent: one write, never split. */
struct result {
    enum outcome outcome;
    bool constants;       /* passed with some inputs as constants of the graph */
    int sets;             /* test_data_set_* that were run */
    double max_rel;       /* largest difference over the output's largest value */
    double seconds;       /* the parent's; 0 while it runs */
    char what[48];        /* operator, type, signal, limit: between the brackets */
    char text[320];       /* a sentence about it; "" where there is nothing to say */
    char operators[1536]; /* of the model, each once: " Conv Relu " */
};

struct test {
    char *name; /* the folder below the root: "node/test_abs" */
    char *path;
    struct result result;
};

struct tests {
    struct test *at;
    int n;
};

/* Every folder below root with a model.onnx and a test_data_set_*, by name. False:
 * root cannot be read (errno), or memory ran out. */
bool tests_find(struct tests *tests, const char *root);
void tests_release(struct tests *tests);

/* ---- one test --------------------------------------------------------------- */

typedef void trial_run(const struct test *test, struct result *result);

/* Reads, builds, runs and compares; never returns without an outcome. relative: in the
 * place of the tolerance of ONNX's own runner; 0: that one. */
extern double trial_relative;
trial_run trial;

/* ---- many ------------------------------------------------------------------- */

struct farm {
    int jobs;       /* children at once */
    double seconds; /* each may take */
    size_t memory;  /* each may map beyond what it starts with; 0: no limit */
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* slow, and the shadow alone maps terabytes */
#else
#define SANITIZED 0
#endif

/* Fills every test's result. */
void farm_run(const struct farm *farm, struct tests *tests, trial_run *run);

/* ---- lists ------------------------------------------------------------------ */

/* "pass", "pass(constants)", "skip(op: Loop)", "crash(SIGSEGV)": the word in a list. */
const char *outcome_text(const struct result *result, char *dst, size_t capacity);

/* Prints a diff and returns how many lines differ; -1: the list cannot be read. */
int list_compare(const struct tests *tests, const char *path, FILE *out);
bool list_write(const struct tests *tests, const char *path);

/* ---- reports ---------------------------------------------------------------- */

struct counts {
    int of[OUTCOMES];
    int constants;
};
struct counts tests_count(const struct tests *tests);

void report_test(const struct test *test, FILE *out);
void report_counts(const struct tests *tests, FILE *out);
void report_precision(const struct tests *tests, FILE *out);
void report_operators(const struct tests *tests, FILE *out);

/* ---- itself ----------------------------------------------------------------- */

/* 0: every kind of bad child was told for what it is. */
int self_test(void);

#endif
