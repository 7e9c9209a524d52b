/*
 * JSON out, written as it is said: records and listings.
 *
 * A writer appends to a buffer, keeps the commas and the indentation, and knows
 * nothing of what it writes. Numbers carry nine significant digits (a float read
 * back is the same float) whatever the locale; what is not finite becomes null.
 * Text may be anything: malformed UTF-8 becomes U+FFFD; control characters and
 * those that reorder or hide text are escaped, so a document is safe to look at.
 * Key NULL is for elements of an array. Memory running out shows as the
 * buffer's `failed`. One thread at a time.
 */
#ifndef SALISCOPE_JSON_H
#define SALISCOPE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/buffer.h"

enum { SAL_JSON_DEPTH_MAX = 16 };

/* Start with {.out = &buffer}. */
struct sal_json {
    struct sal_buffer *out;
    int depth;
    char open[SAL_JSON_DEPTH_MAX];  /* '{' or '[' at each depth */
    bool begun[SAL_JSON_DEPTH_MAX]; /* something stands there already */
};

void sal_json_object(struct sal_json *json, const char *key);
void sal_json_array(struct sal_json *json, const char *key);
/* Ends the innermost object or array; the outermost ends with a newline. */
void sal_json_end(struct sal_json *json);

/* NULL text is null. */
void sal_json_text(struct sal_json *json, const char *key, const char *text);
void sal_json_real(struct sal_json *json, const char *key, double value);
void sal_json_int(struct sal_json *json, const char *key, int64_t value);
void sal_json_bool(struct sal_json *json, const char *key, bool value);

/* An array of numbers on one line. */
void sal_json_reals(struct sal_json *json, const char *key, const double *values, int n);
void sal_json_ints(struct sal_json *json, const char *key, const int64_t *values, int n);

#endif
