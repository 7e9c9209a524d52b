/*
 * A declared parameter: what a method, a probe or a writer lets the user set.
 *
 * Declared once, beside the code that uses it; -P flags, the prompt in the
 * terminal, `list --json`, shell completion and the man page all read this
 * declaration. Values are kept as doubles; a choice is the index of its name, a set of
 * names has bit i for name i.
 * No state, any thread.
 */
#ifndef SALISCOPE_PARAM_H
#define SALISCOPE_PARAM_H

#include <stdbool.h>
#include <stddef.h>

#include "saliscope/status.h"

enum { SAL_PARAMS_MAX = 12 };

enum sal_param_type {
    SAL_PARAM_INT,
    SAL_PARAM_REAL,
    SAL_PARAM_BOOL,
    SAL_PARAM_CHOICE,
    SAL_PARAM_SET, /* one or more names, written "zero+blur" */
};

struct sal_param {
    const char *name; /* NULL ends a list */
    enum sal_param_type type;
    double fallback;  /* the default */
    double min, max;  /* inclusive; not for choices and sets */
    const char *unit; /* "" where it has none */
    const char *const *choices; /* of SAL_PARAM_CHOICE and SAL_PARAM_SET (there at most 32,
                                   none with a +): names, ends with NULL */
    const char *help; /* one sentence without full stop */
    const char *of; /* another of the list that decides whether this one counts; NULL: it
                       always does */
    const char *when; /* it counts where choice or set `of` is, or has, that name; NULL: where
                         `of` is not 0 */
};

/* Values in the order of a list's declarations. */
struct sal_params {
    double value[SAL_PARAMS_MAX];
};

void sal_params_init(struct sal_params *params, const struct sal_param *list);

/* Sets one "key=value". Understands "2/255". SAL_USAGE names the key, the value
 * and what is allowed; owner is the method's name, for the message. */
enum sal_status sal_params_set(struct sal_params *params,
                               const struct sal_param *list, const char *text,
                               const char *owner, struct sal_error *err);

/* The value of `name`; asserts that it is declared. */
double sal_params_get(const struct sal_params *params,
                      const struct sal_param *list, const char *name);

/* Whether parameter i of the list counts, given the other values (`of`, `when`). */
bool sal_param_counts(const struct sal_params *params, const struct sal_param *list, int i);

/* "50", "0.25", "2/255", "yes", "gauss", "zero+blur": what sal_params_set() reads back as the
 * same value. dst (32 bytes are enough but for long choices) is returned. */
char *sal_param_text(const struct sal_param *param, double value, char *dst,
                     size_t capacity);

#endif
