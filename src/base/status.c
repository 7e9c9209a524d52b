#include "saliscope/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum sal_status sal_fail(struct sal_error *err, enum sal_status status,
                         const char *format, ...)
{
    if (!err)
        return status;
    char text[sizeof(err->text)]; /* the arguments may quote err->text */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    strcpy(err->text, text);
    err->status = status;
    return status;
}

enum sal_status sal_fail_within(struct sal_error *err, enum sal_status status,
                                const char *format, ...)
{
    if (!err)
        return status;
    char prefix[sizeof(err->text) / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof(prefix) - 2, format, args);
    va_end(args);
    strcat(prefix, ": ");
    size_t size = strlen(prefix), room = sizeof(err->text) - 1 - size;
    memmove(err->text + size, err->text, room);
    memcpy(err->text, prefix, size);
    err->text[sizeof(err->text) - 1] = '\0';
    err->status = status;
    return status;
}

int sal_status_exit_code(enum sal_status status)
{
    static const int code[] = {
        [SAL_OK] = 0,          [SAL_NO] = 1,    [SAL_USAGE] = 2,
        [SAL_BAD_INPUT] = 3,   [SAL_UNSUPPORTED] = 4,
        [SAL_LIMIT] = 5,       [SAL_OUTPUT] = 6, [SAL_CANCELLED] = 130,
    };
    return code[status];
}
