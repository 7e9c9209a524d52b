#include "keys.h"

#include <ncurses.h>
#include <string.h>

#define X(request, keys, hint, help) [SAL_REQUEST_##request] = {keys, help},
const struct sal_tui_key sal_tui_keys[] = {SAL_KEYS(X){NULL, NULL}};
#undef X

#define X(request, keys, hint, help) [SAL_REQUEST_##request] = hint,
const char *const sal_key_hints[SAL_REQUESTS] = {SAL_KEYS(X)};
#undef X

static const struct {
    const char *name;
    int code;
} named[] = {
    {"Up", KEY_UP},       {"Down", KEY_DOWN},  {"Left", KEY_LEFT},
    {"Right", KEY_RIGHT}, {"PgUp", KEY_PPAGE}, {"PgDn", KEY_NPAGE},
    {"Enter", '\n'},      {"Esc", 27},         {"Space", ' '},
    {"Tab", '\t'},        {"F1", KEY_F(1)},    {"Shift-Tab", KEY_BTAB},
    {"Ctrl-L", 'L' - '@'},
};

int sal_key_code(const char *name, size_t size)
{
    if (size == 1)
        return (unsigned char)*name;
    for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++)
        if (strlen(named[i].name) == size && !memcmp(named[i].name, name, size))
            return named[i].code;
    return -1;
}

const char *sal_key_next(const char **cursor, size_t *size)
{
    const char *name = *cursor;
    if (!*name)
        return NULL;
    *size = strcspn(name, ",");
    *cursor = name + *size + strspn(name + *size, ", ");
    return name;
}

enum sal_request sal_key_request(int code)
{
    if (code == '\r' || code == KEY_ENTER)
        code = '\n';
    for (int i = 0; i < SAL_REQUESTS; i++) {
        const char *cursor = sal_tui_keys[i].keys, *name;
        size_t size;
        while ((name = sal_key_next(&cursor, &size)))
            if (sal_key_code(name, size) == code)
                return (enum sal_request)i;
    }
    return SAL_REQUESTS;
}
