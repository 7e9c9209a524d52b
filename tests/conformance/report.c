#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

struct counts tests_count(const struct tests *tests)
{
    struct counts counts = {.constants = 0};
    for (int i = 0; i < tests->n; i++) {
        const struct result *result = &tests->at[i].result;
        counts.of[result->outcome]++;
        counts.constants += result->outcome == OUTCOME_PASS && result->constants;
    }
    return counts;
}

void report_test(const struct test *test, FILE *out)
{
    const struct result *result = &test->result;
    char text[96], error[32] = "";
    if (result->outcome == OUTCOME_PASS)
        snprintf(error, sizeof(error), "%.1e", result->max_rel);
    fprintf(out, "%-28s %7s  %s%s%s\n", outcome_text(result, text, sizeof(text)), error,
            test->name, *result->text ? ": " : "", result->text);
}

void report_counts(const struct tests *tests, FILE *out)
{
    struct counts c = tests_count(tests);
    fprintf(out,
            "| tests | pass | of them with constants | skip(op) | skip(dtype) | "
            "skip(data) | fail | crash |\n"
            "|------:|-----:|-----------------------:|---------:|------------:|"
            "-----------:|-----:|------:|\n"
            "| %d | %d | %d | %d | %d | %d | %d | %d |\n",
            tests->n, c.of[OUTCOME_PASS], c.constants, c.of[OUTCOME_SKIP_OP],
            c.of[OUTCOME_SKIP_DTYPE], c.of[OUTCOME_SKIP_DATA], c.of[OUTCOME_FAIL],
            c.of[OUTCOME_CRASH]);
}

void report_precision(const struct tests *tests, FILE *out)
{
    static const double most[] = {0, 1e-7, 1e-6, 1e-5, 1e-4, HUGE_VAL};
    static const char *const names[] = {"exact", "1e-7", "1e-6",
                                        "1e-5",  "1e-4", "above"};
    enum { STEPS = sizeof(most) / sizeof(*most) };
    int n[STEPS] = {0};
    for (int i = 0; i < tests->n; i++) {
        int step = 0;
        while (step < STEPS - 1 && !(tests->at[i].result.max_rel <= most[step]))
            step++;
        n[step] += tests->at[i].result.outcome == OUTCOME_PASS;
    }
    fprintf(out, "largest error of those that pass, over the output's largest value:");
    for (int i = 0; i < STEPS; i++)
        fprintf(out, "%s %s %d", i ? "," : "", names[i], n[i]);
    fprintf(out, "\n");
}

/* ---- by operator ------------------------------------------------------------ */

struct row {
    char name[64];
    int tests, passed, skipped, failed;
};

struct rows {
    struct row *at;
    int n;
};

static struct row *row_of(struct rows *rows, const char *name, size_t size)
{
    for (int i = 0; i < rows->n; i++)
        if (strlen(rows->at[i].name) == size &&
            memcmp(rows->at[i].name, name, size) == 0)
            return &rows->at[i];
    struct row *more = realloc(rows->at, (size_t)(rows->n + 1) * sizeof(*more));
    if (!more || size >= sizeof(more->name))
        abort();
    rows->at = more;
    struct row *row = &rows->at[rows->n++];
    *row = (struct row){0};
    memcpy(row->name, name, size);
    return row;
}

static void count(struct rows *rows, const struct result *result)
{
    for (const char *at = result->operators + strspn(result->operators, " "); *at;) {
        size_t size = strcspn(at, " ");
        struct row *row = row_of(rows, at, size);
        row->tests++;
        row->passed += result->outcome == OUTCOME_PASS;
        row->failed +=
            result->outcome == OUTCOME_FAIL || result->outcome == OUTCOME_CRASH;
        at += size + strspn(at + size, " ");
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

void report_operators(const struct tests *tests, FILE *out)
{
    struct rows rows = {0};
    for (int i = 0; i < tests->n; i++)
        count(&rows, &tests->at[i].result);
    if (rows.n)
        qsort(rows.at, (size_t)rows.n, sizeof(*rows.at), by_name);
    fprintf(out, "| operator | tests | passed | skipped | failed |\n"
                 "|----------|------:|-------:|--------:|-------:|\n");
    for (int i = 0; i < rows.n; i++) {
        const struct row *row = &rows.at[i];
        fprintf(out, "| %s | %d | %d | %d | %d |\n", row->name, row->tests, row->passed,
                row->tests - row->passed - row->failed, row->failed);
    }
    free(rows.at);
}
