/*
 * How everything here fails.
 *
 * A function that can fail returns `enum sal_status` and takes `struct
 * sal_error *` last. The error is touched only on failure, so calls chain with
 * `||`. A message is one sentence that names the thing and what would be right:
 * "Conv 'layer1.0': weight expects 64 channels, input has 3". It may quote
 * untrusted text: whoever shows it passes it through sal_text_clean() first.
 * Passing NULL for the error is allowed. No state, any thread.
 */
#ifndef SALISCOPE_STATUS_H
#define SALISCOPE_STATUS_H

enum sal_status {
    SAL_OK = 0,
    SAL_NO,          /* done, and the answer is no: a check failed */
    SAL_USAGE,       /* the caller asked for something that does not exist */
    SAL_BAD_INPUT,   /* an input is unreadable, malformed, or beyond what any sane
                        file of its kind holds (nesting, sides, counts) */
    SAL_UNSUPPORTED, /* a valid input needs something we do not have */
    SAL_LIMIT,       /* over a resource limit: memory, time */
    SAL_OUTPUT,      /* an output could not be written */
    SAL_CANCELLED,   /* stopped on request */
};

struct sal_error {
    enum sal_status status;
    char text[512]; /* NUL-terminated, no trailing newline or full stop */
};

/* Fills err (when not NULL) and returns status, so that
 * `return sal_fail(err, SAL_LIMIT, "...")` reads as one step. */
enum sal_status sal_fail(struct sal_error *err, enum sal_status status,
                         const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prepends "prefix: " to the message of a failure that is passed on; returns
 * err's status. */
enum sal_status sal_fail_within(struct sal_error *err, enum sal_status status,
                                const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The process exit status for a status: 0, 1, 2, 3, 4, 5, 6 (output), 130. */
int sal_status_exit_code(enum sal_status status);

#endif
