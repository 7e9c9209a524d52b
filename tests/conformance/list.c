#include <stdlib.h>
#include <string.h>

#include "conformance.h"

enum { LINE_SIZE = 4096 + 128 };

static const char *const words[OUTCOMES] = {
    [OUTCOME_NONE] = "none",
    [OUTCOME_PASS] = "pass",
    [OUTCOME_FAIL] = "fail",
    [OUTCOME_SKIP_OP] = "skip(op: ",
    [OUTCOME_SKIP_DTYPE] = "skip(dtype: ",
    [OUTCOME_SKIP_DATA] = "skip(data)",
    [OUTCOME_CRASH] = "crash(",
};

const char *outcome_text(const struct result *result, char *dst, size_t capacity)
{
    const char *word = words[result->outcome];
    bool open = word[strlen(word) - 1] != ')' && strchr(word, '(');
    if (result->outcome == OUTCOME_PASS && result->constants)
        snprintf(dst, capacity, "pass(constants)");
    else if (result->outcome == OUTCOME_FAIL && *result->what)
        snprintf(dst, capacity, "fail(%s)", result->what);
    else
        snprintf(dst, capacity, "%s%s%s", word, open ? result->what : "",
                 open ? ")" : "");
    return dst;
}

/* ---- comparing: two sorted lists, merged ------------------------------------ */

struct reader {
    FILE *file;
    char line[LINE_SIZE]; /* the name; the outcome stands behind its NUL */
    const char *outcome;  /* NULL: the list is over */
    int number;
    bool malformed;
};

static void advance(struct reader *reader)
{
    reader->outcome = NULL;
    if (!fgets(reader->line, sizeof(reader->line), reader->file))
        return;
    reader->number++;
    reader->line[strcspn(reader->line, "\n")] = '\0';
    char *space = strchr(reader->line, ' ');
    reader->malformed |= !space;
    if (!space)
        return;
    *space = '\0';
    reader->outcome = space + 1;
}

static int compare_next(struct reader *reader, const struct tests *tests, int *next,
                        FILE *out)
{
    char text[96];
    const struct test *test = *next < tests->n ? &tests->at[*next] : NULL;
    int order = !test ? -1 : !reader->outcome ? 1 : strcmp(reader->line, test->name);
    const char *is = test ? outcome_text(&test->result, text, sizeof(text)) : "";
    bool same = order == 0 && strcmp(reader->outcome, is) == 0;
    if (order <= 0 && !same)
        fprintf(out, "-%s %s\n", reader->line, reader->outcome);
    if (order >= 0 && !same)
        fprintf(out, "+%s %s\n", test->name, is);
    if (order >= 0)
        ++*next;
    if (order <= 0)
        advance(reader);
    return !same;
}

int list_compare(const struct tests *tests, const char *path, FILE *out)
{
    struct reader reader = {.file = fopen(path, "r")};
    int next = 0, differ = 0;
    if (!reader.file)
        return -1;
    advance(&reader);
    while (reader.outcome || next < tests->n)
        differ += compare_next(&reader, tests, &next, out);
    fclose(reader.file);
    if (reader.malformed) {
        fprintf(out, "%s:%d: not 'name outcome'\n", path, reader.number);
        differ++;
    }
    return differ;
}

bool list_write(const struct tests *tests, const char *path)
{
    char text[96];
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    for (int i = 0; i < tests->n; i++)
        fprintf(file, "%s %s\n", tests->at[i].name,
                outcome_text(&tests->at[i].result, text, sizeof(text)));
    bool good = !ferror(file);
    return fclose(file) == 0 && good;
}
