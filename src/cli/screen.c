/* What standard output can show, as the environment says it: no terminal is asked. */
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

enum sal_depth cli_depth(void)
{
    const char *term = getenv("TERM"), *color = getenv("COLORTERM");
    if (!term || strcmp(term, "dumb") == 0)
        return SAL_MONO;
    if (color && (strcmp(color, "truecolor") == 0 || strcmp(color, "24bit") == 0))
        return SAL_TRUECOLOR;
    if (strstr(term, "-direct"))
        return SAL_TRUECOLOR;
    if (strstr(term, "256color"))
        return SAL_256;
    return strncmp(term, "vt", 2) == 0 ? SAL_MONO : SAL_16;
}

bool cli_unicode(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

int cli_columns(void)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
        return 0;
    return size.ws_col;
}

/* ---- cells -------------------------------------------------------------------------------- */

static void print_glyph(uint32_t code)
{
    const int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    putchar((int)(lead[bytes] | code >> 6 * (bytes - 1)));
    for (int i = bytes - 2; i >= 0; i--)
        putchar((int)(0x80 | (code >> 6 * i & 0x3f)));
}

static void print_colour(int fg, enum sal_depth depth)
{
    if (fg < 0)
        fputs("\033[39m", stdout);
    else if (depth == SAL_TRUECOLOR)
        printf("\033[38;2;%d;%d;%dm", fg >> 16, fg >> 8 & 255, fg & 255);
    else if (depth == SAL_256)
        printf("\033[38;5;%dm", fg);
    else
        printf("\033[%dm", fg < 8 ? 30 + fg : 82 + fg);
}

static int used_columns(const struct sal_cell *row, int columns)
{
    while (columns && row[columns - 1].glyph == ' ')
        columns--;
    return columns;
}

void cli_print_cells(const struct sal_cells *cells, enum sal_depth depth, const char *indent)
{
    for (int r = 0; r < cells->rows; r++) {
        const struct sal_cell *row = cells->cell + r * cells->columns;
        int fg = SAL_CELL_DEFAULT, columns = used_columns(row, cells->columns);
        fputs(indent, stdout);
        for (int c = 0; c < columns; c++) {
            if (row[c].fg != fg && row[c].glyph != ' ')
                print_colour(fg = row[c].fg, depth);
            print_glyph(row[c].glyph);
        }
        if (fg != SAL_CELL_DEFAULT)
            print_colour(SAL_CELL_DEFAULT, depth);
        putchar('\n');
    }
}
