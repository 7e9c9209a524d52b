/*
 * One line of text being typed. Owns its text. No ncurses: it is given what was
 * typed and says what became of it.
 */
#ifndef SALISCOPE_TUI_PROMPT_H
#define SALISCOPE_TUI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

struct sal_prompt {
    bool open;
    bool confirm; /* the next Enter replaces a file that is there */
    const char *label; /* static text, before what is typed */
    char hint[96];     /* behind it */
    char text[512];    /* UTF-8 */
};

enum sal_prompt_end { SAL_PROMPT_GOES_ON, SAL_PROMPT_ENTERED, SAL_PROMPT_LEFT };

void sal_prompt_open(struct sal_prompt *prompt, const char *label, const char *text);

/* One character: text is appended; Backspace takes one off, Ctrl-U all; Enter and
 * Esc end it. */
enum sal_prompt_end sal_prompt_type(struct sal_prompt *prompt, wchar_t character);

#endif
