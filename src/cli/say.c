#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "saliscope/text.h"

static void say(const char *before, const char *text)
{
    char clean[sizeof(((struct sal_error *)0)->text) * 3];
    fprintf(stderr, "saliscope: %s%s\n", before,
            sal_text_clean(clean, sizeof(clean), text));
}

int cli_fail(const struct sal_error *err)
{
    say("", err->text);
    return sal_status_exit_code(err->status);
}

int cli_usage(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    say("", text);
    return sal_status_exit_code(SAL_USAGE);
}

void cli_warn(const struct cli *cli, const char *text)
{
    if (!cli->quiet)
        say("warning: ", text);
}

int cli_finish(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "saliscope: standard output: %s\n",
            errno ? strerror(errno) : "could not be written");
    return status ? status : sal_status_exit_code(SAL_OUTPUT);
}

const char *cli_bold(const struct cli *cli)
{
    return cli->color ? "\033[1m" : "";
}

const char *cli_plain(const struct cli *cli)
{
    return cli->color ? "\033[0m" : "";
}

int cli_print_json(const struct sal_json *json)
{
    if (json->out->failed) {
        struct sal_error err = {SAL_LIMIT, "no memory for the JSON document"};
        return cli_fail(&err);
    }
    fwrite(json->out->data, 1, json->out->size, stdout);
    return 0;
}

/* ---- tables ------------------------------------------------------------------------ */

static bool table_room(struct cli_table *table)
{
    if (table->n < table->capacity)
        return true;
    int capacity = table->capacity ? table->capacity * 2 : 64;
    char **cell = realloc(table->cell, (size_t)capacity * sizeof(*cell));
    if (!cell)
        return false;
    table->cell = cell;
    table->capacity = capacity;
    return true;
}

void cli_table_add(struct cli_table *table, const char *format, ...)
{
    char text[512], clean[sizeof(text) * 3];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sal_text_clean(clean, sizeof(clean), text);
    char *copy = sal_arena_copy(&table->arena, clean, strlen(clean));
    if (copy && table_room(table))
        table->cell[table->n++] = copy;
}

static int column_width(const struct cli_table *table, int column, int columns)
{
    int width = 0;
    for (int i = column; i < table->n; i += columns) {
        int wide = sal_text_columns(table->cell[i]);
        width = wide > width ? wide : width;
    }
    return width;
}

static void print_row(const struct cli_table *table, FILE *out, char *const *row,
                      const int *width, int columns)
{
    int pending = 0; /* blanks that only matter when something follows */
    for (int c = 0; c < columns; c++) {
        int gap = width[c] - sal_text_columns(row[c]);
        bool right = table->align[c] == 'r';
        pending += (c ? 2 : 0) + (right ? gap : 0);
        if (*row[c]) {
            fprintf(out, "%*s%s", pending, "", row[c]);
            pending = 0;
        }
        pending += right ? 0 : gap;
    }
    fputc('\n', out);
}

void cli_table_print(struct cli_table *table, FILE *out, const char *indent)
{
    enum { COLUMNS_MAX = 16 };
    int columns = (int)strlen(table->align), width[COLUMNS_MAX];
    for (int c = 0; c < columns && c < COLUMNS_MAX; c++)
        width[c] = column_width(table, c, columns);
    for (int i = 0; i + columns <= table->n; i += columns) {
        fputs(indent, out);
        print_row(table, out, table->cell + i, width, columns);
    }
    free(table->cell);
    sal_arena_release(&table->arena);
    table->cell = NULL;
    table->n = table->capacity = 0;
}
