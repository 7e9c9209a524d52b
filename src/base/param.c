#include "saliscope/param.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void sal_params_init(struct sal_params *params, const struct sal_param *list)
{
    *params = (struct sal_params){0};
    for (int i = 0; list && list[i].name; i++) {
        assert(i < SAL_PARAMS_MAX);
        params->value[i] = list[i].fallback;
    }
}

static int find(const struct sal_param *list, const char *name, size_t size)
{
    for (int i = 0; list && list[i].name; i++)
        if (strlen(list[i].name) == size && memcmp(list[i].name, name, size) == 0)
            return i;
    return -1;
}

/* "0.5" or "2/255"; false when text is not exactly that. */
static bool number(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    if (end == text)
        return false;
    if (*end == '/') {
        const char *below = end + 1;
        double divisor = strtod(below, &end);
        if (end == below || divisor == 0)
            return false;
        *value /= divisor;
    }
    return *end == '\0' && isfinite(*value);
}

static bool choice(const struct sal_param *param, const char *text, double *value)
{
    for (int i = 0; param->choices[i]; i++)
        if (strcmp(param->choices[i], text) == 0) {
            *value = i;
            return true;
        }
    return false;
}

/* "zero+blur". */
static bool set(const struct sal_param *param, const char *text, double *value)
{
    unsigned long bits = 0;
    for (;;) {
        size_t size = strcspn(text, "+");
        int i = 0;
        while (param->choices[i] && !(strlen(param->choices[i]) == size &&
                                      memcmp(param->choices[i], text, size) == 0))
            i++;
        if (!param->choices[i])
            return false;
        bits |= 1UL << i;
        if (!text[size])
            break;
        text += size + 1;
    }
    *value = (double)bits;
    return true;
}

static bool boolean(const char *text, double *value)
{
    static const char *const words[] = {"no", "yes", "false", "true",
                                        "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcasecmp(words[i], text) == 0) {
            *value = (double)(i % 2);
            return true;
        }
    return false;
}

static bool parse(const struct sal_param *param, const char *text, double *value)
{
    switch (param->type) {
    case SAL_PARAM_CHOICE:
        return choice(param, text, value);
    case SAL_PARAM_SET:
        return set(param, text, value);
    case SAL_PARAM_BOOL:
        return boolean(text, value);
    case SAL_PARAM_INT:
        return number(text, value) && *value == floor(*value) &&
               *value >= param->min && *value <= param->max;
    case SAL_PARAM_REAL:
        return number(text, value) && *value >= param->min && *value <= param->max;
    }
    return false;
}

/* "a whole number from 1 to 1000", "one of zero, mean, blur". */
static void allowed(const struct sal_param *param, char *dst, size_t capacity)
{
    switch (param->type) {
    case SAL_PARAM_INT:
    case SAL_PARAM_REAL:
        snprintf(dst, capacity, "a %s from %.9g to %.9g%s%s",
                 param->type == SAL_PARAM_INT ? "whole number" : "number", param->min,
                 param->max, *param->unit ? " " : "", param->unit);
        return;
    case SAL_PARAM_BOOL:
        snprintf(dst, capacity, "yes or no");
        return;
    case SAL_PARAM_CHOICE:
    case SAL_PARAM_SET:
        break;
    }
    size_t used = (size_t)snprintf(dst, capacity, "%s",
                                   param->type == SAL_PARAM_SET
                                       ? "one or more, joined by +, of"
                                       : "one of");
    for (int i = 0; param->choices[i] && used < capacity; i++)
        used += (size_t)snprintf(dst + used, capacity - used, "%s %s", i ? "," : "",
                                 param->choices[i]);
}

static enum sal_status unknown(const struct sal_param *list, const char *text,
                               const char *owner, struct sal_error *err)
{
    char names[256] = "";
    int size = (int)strcspn(text, "=");
    size_t used = 0;
    for (int i = 0; list && list[i].name && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                 i ? ", " : "", list[i].name);
    if (!used)
        return sal_fail(err, SAL_USAGE, "%s has no parameters, '%.*s' was given",
                        owner, size, text);
    return sal_fail(err, SAL_USAGE, "%s has no parameter '%.*s'; it has %s", owner,
                    size, text, names);
}

enum sal_status sal_params_set(struct sal_params *params, const struct sal_param *list,
                               const char *text, const char *owner,
                               struct sal_error *err)
{
    size_t size = strcspn(text, "=");
    int i = find(list, text, size);
    if (i < 0)
        return unknown(list, text, owner, err);
    double value = 0;
    if (text[size] == '=' && parse(&list[i], text + size + 1, &value)) {
        params->value[i] = value;
        return SAL_OK;
    }
    char rule[256];
    allowed(&list[i], rule, sizeof(rule));
    return sal_fail(err, SAL_USAGE, "%s: %s must be %s, not '%s'", owner, list[i].name,
                    rule, text[size] ? text + size + 1 : "");
}

double sal_params_get(const struct sal_params *params, const struct sal_param *list,
                      const char *name)
{
    int i = find(list, name, strlen(name));
    assert(i >= 0);
    return params->value[i];
}

bool sal_param_counts(const struct sal_params *params, const struct sal_param *list, int i)
{
    if (!list[i].of)
        return true;
    int of = find(list, list[i].of, strlen(list[i].of)), when = 0;
    assert(of >= 0 && (list[of].choices || !list[i].when));
    if (!list[i].when)
        return params->value[of] != 0;
    while (list[of].choices[when] && strcmp(list[of].choices[when], list[i].when) != 0)
        when++;
    if (!list[of].choices[when])
        return false;
    return list[of].type == SAL_PARAM_SET ? (unsigned long)params->value[of] >> when & 1
                                          : (int)params->value[of] == when;
}

/* Writes value with that many digits; true when it reads back as the same. */
static bool spell(double value, int digits, char *dst, size_t capacity)
{
    double read;
    snprintf(dst, capacity, "%.*g", digits, value);
    return number(dst, &read) && read == value;
}

/* A short spelling that loses nothing; grey levels as people write them. */
static void number_text(double value, char *dst, size_t capacity)
{
    double levels = round(value * 255);
    if (spell(value, 9, dst, capacity))
        return;
    if (fabs(levels) < 255 && levels / 255 == value)
        snprintf(dst, capacity, "%.0f/255", levels);
    else
        for (int digits = 10; digits <= 17; digits++)
            if (spell(value, digits, dst, capacity))
                return;
}

static void set_text(const struct sal_param *param, unsigned long bits, char *dst,
                     size_t capacity)
{
    size_t used = 0;
    for (int i = 0; param->choices[i] && used < capacity; i++)
        if (bits >> i & 1)
            used += (size_t)snprintf(dst + used, capacity - used, "%s%s", used ? "+" : "",
                                     param->choices[i]);
}

char *sal_param_text(const struct sal_param *param, double value, char *dst,
                     size_t capacity)
{
    if (param->type == SAL_PARAM_CHOICE)
        snprintf(dst, capacity, "%s", param->choices[(int)value]);
    else if (param->type == SAL_PARAM_SET)
        set_text(param, (unsigned long)value, dst, capacity);
    else if (param->type == SAL_PARAM_BOOL)
        snprintf(dst, capacity, "%s", value != 0 ? "yes" : "no");
    else
        number_text(value, dst, capacity);
    return dst;
}
