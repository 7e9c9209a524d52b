#include "terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

#include "signals.h"

enum { ESCAPE_MS = 25, MESSAGES_MAX = 16384 };

enum sal_status sal_terminal_check(struct sal_error *err)
{
    setlocale(LC_CTYPE, "");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return sal_fail(err, SAL_USAGE,
                        "the workbench needs a terminal; without one use 'saliscope "
                        "classify' or 'saliscope explain'");
    const char *term = getenv("TERM");
    if (!term || !*term || !strcmp(term, "dumb") || !strcmp(term, "unknown"))
        return sal_fail(err, SAL_USAGE,
                        "TERM=%s cannot move a cursor; set TERM to what the terminal "
                        "is, or use 'saliscope explain -o FILE'",
                        term ? term : "");
    return SAL_OK;
}

/* ---- what it can show --------------------------------------------------------- */

static bool wants_truecolor(void)
{
    const char *value = getenv("COLORTERM");
    return COLORS >= SAL_TRUECOLOR ||
           (value && (!strcmp(value, "truecolor") || !strcmp(value, "24bit")));
}

static enum sal_depth find_depth(int colors)
{
    if (colors == 0)
        return SAL_MONO;
    if (colors >= SAL_TRUECOLOR || (colors < 0 && wants_truecolor()))
        return SAL_TRUECOLOR;
    int most = has_colors() ? COLORS : 0;
    if (colors > 0 && colors < most)
        most = colors;
    return most >= 256 ? SAL_256 : most >= 8 ? SAL_16 : SAL_MONO;
}

/* Colours 0 to 7 are the palette under every terminfo entry; each role also has
 * an attribute or a word, so that none of them depends on its colour. */
static void set_styles(struct sal_terminal *terminal)
{
    bool color = terminal->depth != SAL_MONO && has_colors();
    attr_t *style = terminal->style;
    style[SAL_STYLE_TITLE] = A_BOLD;
    style[SAL_STYLE_QUIET] = A_DIM;
    style[SAL_STYLE_SELECTED] = A_REVERSE;
    style[SAL_STYLE_FLAG] = A_BOLD;
    style[SAL_STYLE_WARNING] = A_BOLD;
    style[SAL_STYLE_ERROR] = A_BOLD;
    if (!color)
        return;
    init_pair(1, COLOR_RED, -1);
    init_pair(2, COLOR_MAGENTA, -1);
    style[SAL_STYLE_FLAG] |= COLOR_PAIR(1);
    style[SAL_STYLE_ERROR] |= COLOR_PAIR(1);
    style[SAL_STYLE_WARNING] |= COLOR_PAIR(2);
}

static void find_abilities(struct sal_terminal *terminal, int colors, bool ascii)
{
    terminal->unicode = !ascii && !strcmp(nl_langinfo(CODESET), "UTF-8");
    if (has_colors()) {
        start_color();
        use_default_colors();
    }
    terminal->depth = find_depth(colors);
    terminal->raw = terminal->depth == SAL_TRUECOLOR;
    if (terminal->raw && (!terminal->unicode || COLORS < 8)) {
        /* There are no blanks that ncurses would leave alone. */
        terminal->raw = false;
        terminal->depth = find_depth(256);
    }
    set_styles(terminal);
}

/* ---- taking and giving back ----------------------------------------------------- */

static void arm_rescue(const struct sal_terminal *terminal)
{
    struct sal_rescue rescue = {
        .tty = STDOUT_FILENO,
        .mode = terminal->mode,
        .standard_error = terminal->messages < 0 ? -1 : terminal->standard_error,
        .messages = terminal->messages,
    };
    struct sal_buffer reset = {0};
    sal_terminal_reset(&reset);
    if (!reset.failed && reset.size <= sizeof(rescue.reset)) {
        memcpy(rescue.reset, reset.data, reset.size);
        rescue.reset_size = reset.size;
    }
    sal_buffer_release(&reset);
    sal_signals_rescue(&rescue);
}

static void keep_messages(struct sal_terminal *terminal)
{
    terminal->messages = -1;
    if (!isatty(STDERR_FILENO))
        return;
    terminal->standard_error = dup(STDERR_FILENO);
    terminal->messages = memfd_create("messages", MFD_CLOEXEC);
    if (terminal->messages >= 0)
        dup2(terminal->messages, STDERR_FILENO);
}

static void show_messages(struct sal_terminal *terminal)
{
    if (terminal->messages < 0)
        return;
    dup2(terminal->standard_error, STDERR_FILENO);
    close(terminal->standard_error);
    char text[MESSAGES_MAX];
    ssize_t size = pread(terminal->messages, text, sizeof(text), 0);
    if (size > 0)
        fwrite(text, 1, (size_t)size, stderr);
    close(terminal->messages);
    terminal->messages = -1;
}

enum sal_status sal_terminal_open(struct sal_terminal *terminal, int colors,
                                  bool ascii, struct sal_error *err)
{
    *terminal = (struct sal_terminal){.messages = -1};
    tcgetattr(STDIN_FILENO, &terminal->mode);
    set_escdelay(ESCAPE_MS);
    terminal->screen = newterm(NULL, stdout, stdin);
    if (!terminal->screen)
        return sal_fail(err, SAL_USAGE,
                        "TERM=%s is not known here; set it to what the terminal is, "
                        "for example xterm-256color",
                        getenv("TERM"));
    set_term(terminal->screen);
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    terminal->keys = newpad(1, 1);
    if (!terminal->keys) {
        sal_terminal_close(terminal);
        return sal_fail(err, SAL_LIMIT, "no memory for the screen");
    }
    keypad(terminal->keys, TRUE);
    nodelay(terminal->keys, TRUE);
    find_abilities(terminal, colors, ascii);
    keep_messages(terminal);
    arm_rescue(terminal);
    return SAL_OK;
}

void sal_terminal_close(struct sal_terminal *terminal)
{
    if (!terminal->screen)
        return;
    endwin();
    sal_signals_rescue(NULL);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->mode);
    if (terminal->keys)
        delwin(terminal->keys);
    delscreen(terminal->screen);
    terminal->screen = NULL;
    sal_raster_release(&terminal->raster);
    show_messages(terminal);
}

void sal_terminal_suspend(struct sal_terminal *terminal)
{
    endwin();
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->mode);
}

void sal_terminal_resume(struct sal_terminal *terminal)
{
    if (!isendwin())
        endwin();
    reset_prog_mode();
    sal_terminal_resize(terminal);
    sal_terminal_forget(terminal);
}

void sal_terminal_resize(struct sal_terminal *terminal)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
        return;
    resizeterm(size.ws_row, size.ws_col);
    sal_terminal_forget(terminal);
}

/* ---- pictures through ncurses ------------------------------------------------------ */

/* The pair for two colours, background first by number: half as many pairs, and
 * terminals with few colours have few pairs. Sets *swapped when the cell is to be
 * shown in reverse. */
static int find_pair_of(struct sal_cell cell, bool *swapped)
{
    int fg = cell.fg, bg = cell.bg;
    if (COLORS < 16) {
        fg = fg < 0 ? fg : fg & 7;
        bg = bg < 0 ? bg : bg & 7;
    }
    *swapped = fg > bg && bg >= 0;
    if (fg < 0 && bg < 0)
        return 0;
    int pair = *swapped ? alloc_pair(bg, fg) : alloc_pair(fg, bg);
    return pair < 0 ? 0 : pair;
}

/* Blanks that ncurses takes for text. It tells rows apart by their characters alone,
 * and then weighs by whole cells whether rows near by should scroll along: glyph and
 * colour both depend on the row. */
static void put_blank(WINDOW *window, int y, int x, int choice, int row)
{
    static const wchar_t glyphs[] = {0xA0,   0x2007, 0x2002, 0x2000, 0x2001, 0x2003, 0x2004,
                                     0x2005, 0x2006, 0x2008, 0x2009, 0x200A, 0x202F};
    enum { GLYPHS = sizeof(glyphs) / sizeof(*glyphs), COLORS_EVERYWHERE = 8 };
    int digit = choice ? row / GLYPHS : row;
    wchar_t text[2] = {glyphs[digit % GLYPHS], 0};
    int pair = alloc_pair(row % COLORS_EVERYWHERE, -1);
    cchar_t character;
    if (pair >= 0 && setcchar(&character, text, A_NORMAL, 0, &pair) == OK)
        mvwadd_wch(window, y, x, &character);
}

void sal_terminal_hold_rows(const struct sal_terminal *terminal, WINDOW *window, int x,
                            int rows)
{
    for (int row = 0; terminal->raw && row < rows; row++) {
        put_blank(window, row, x, 0, row);
        put_blank(window, row, x + 1, 1, row);
    }
}

static void put_glyph(const struct sal_terminal *terminal, WINDOW *window, int y, int x,
                      struct sal_cell cell)
{
    wchar_t text[2] = {(wchar_t)cell.glyph, 0};
    attr_t attributes = A_NORMAL;
    int pair = 0;
    if (terminal->depth == SAL_MONO) {
        attributes = cell.bg >= 0 ? A_REVERSE : A_NORMAL;
    } else {
        bool swapped;
        pair = find_pair_of(cell, &swapped);
        attributes = swapped ? A_REVERSE : A_NORMAL;
    }
    cchar_t character;
    if (setcchar(&character, text, attributes, 0, &pair) == OK)
        mvwadd_wch(window, y, x, &character);
}

void sal_terminal_cells(const struct sal_terminal *terminal, WINDOW *window, int y,
                        int x, const struct sal_cells *cells)
{
    for (int row = 0; row < cells->rows; row++)
        for (int column = 0; column < cells->columns; column++)
            if (terminal->raw)
                put_blank(window, y + row, x + column, 0, getbegy(window) + y + row);
            else
                put_glyph(terminal, window, y + row, x + column,
                          cells->cell[row * cells->columns + column]);
}

enum sal_depth sal_terminal_text_depth(const struct sal_terminal *terminal)
{
    if (!terminal->raw)
        return terminal->depth;
    return COLORS >= 256 ? SAL_256 : SAL_16;
}

void sal_terminal_glyphs(const struct sal_terminal *terminal, WINDOW *window, int y, int x,
                         const struct sal_cells *cells)
{
    for (int row = 0; row < cells->rows; row++)
        for (int column = 0; column < cells->columns; column++) {
            struct sal_cell cell = cells->cell[row * cells->columns + column];
            /* Of eight colours grey would be black, which may be the ground's. */
            if (COLORS < 16 && cell.bg < 0 && cell.fg % 8 == 0)
                cell.fg = SAL_CELL_DEFAULT;
            put_glyph(terminal, window, y + row, x + column, cell);
        }
}

/* ---- everything at once -------------------------------------------------------- */

void sal_terminal_present(struct sal_terminal *terminal,
                          const struct sal_sprite *sprites, int n,
                          const struct sal_rect *hole)
{
    static const char begin[] = "\033[?2026h", end[] = "\033[?2026l";
    if (!terminal->raw || n < 1) {
        doupdate();
        return;
    }
    sal_write_all(STDOUT_FILENO, begin, sizeof(begin) - 1);
    doupdate();
    sal_raster_write(&terminal->raster, STDOUT_FILENO, LINES, COLS, sprites, n, hole);
    sal_write_all(STDOUT_FILENO, end, sizeof(end) - 1);
}

void sal_terminal_forget(struct sal_terminal *terminal)
{
    clearok(curscr, TRUE);
    sal_raster_release(&terminal->raster);
}
