#include <string.h>

#include "terminal.h"

/* Last: it defines macros with everyday names. */
#include <term.h>

/* Appends a terminfo string without its padding marks. */
static void append_capability(struct sal_buffer *out, const char *name)
{
    const char *text = tigetstr(name);
    if (!text || text == (const char *)-1)
        return;
    while (*text) {
        const char *end = strncmp(text, "$<", 2) ? NULL : strchr(text, '>');
        if (end)
            text = end + 1;
        else
            sal_buffer_append(out, text++, 1);
    }
}

void sal_terminal_reset(struct sal_buffer *out)
{
    static const char *const names[] = {"sgr0", "op", "rmkx", "cnorm", "rmcup"};
    static const char end_of_update[] = "\033[?2026l";
    sal_buffer_append(out, end_of_update, sizeof(end_of_update) - 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        append_capability(out, names[i]);
    sal_buffer_append(out, "\r", 1);
}
