#include "prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

enum { BACKSPACE = 8, CTRL_U = 'U' - '@', CTRL_W = 'W' - '@', ESC = 27, DEL = 127 };

void sal_prompt_open(struct sal_prompt *prompt, const char *label, const char *text)
{
    *prompt = (struct sal_prompt){.open = true, .label = label};
    snprintf(prompt->text, sizeof(prompt->text), "%s", text);
}

static void take_one(struct sal_prompt *prompt)
{
    size_t size = strlen(prompt->text);
    while (size && (prompt->text[--size] & 0xC0) == 0x80)
        ;
    prompt->text[size] = '\0';
}

static void take_word(struct sal_prompt *prompt)
{
    do
        take_one(prompt);
    while (*prompt->text && !strchr(" -_./", prompt->text[strlen(prompt->text) - 1]));
}

static void append(struct sal_prompt *prompt, wchar_t character)
{
    char bytes[16]; /* MB_LEN_MAX */
    mbstate_t state = {0};
    size_t size = wcrtomb(bytes, character, &state), used = strlen(prompt->text);
    if (size == (size_t)-1 || used + size >= sizeof(prompt->text))
        return;
    memcpy(prompt->text + used, bytes, size);
    prompt->text[used + size] = '\0';
}

enum sal_prompt_end sal_prompt_type(struct sal_prompt *prompt, wchar_t character)
{
    if (character == ESC) {
        prompt->open = false;
        return SAL_PROMPT_LEFT;
    }
    if (character == '\n' || character == '\r')
        return SAL_PROMPT_ENTERED;
    prompt->confirm = false;
    if (character == BACKSPACE || character == DEL)
        take_one(prompt);
    else if (character == CTRL_W)
        take_word(prompt);
    else if (character == CTRL_U)
        *prompt->text = '\0';
    else if (iswprint((wint_t)character))
        append(prompt, character);
    return SAL_PROMPT_GOES_ON;
}
