#include "sentence.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 64 };

static const struct sentence *said; /* what build reads: cases carry no context */

static int numbers(const char *text, char separator, int64_t values[VALUES_MAX])
{
    int n = 0;
    for (char *end;
         n < VALUES_MAX && (values[n] = strtoll(text, &end, 10), end != text); n++)
        text = *end == separator ? end + 1 : end;
    return n;
}

static int reals(const char *text, float values[VALUES_MAX])
{
    int n = 0;
    for (char *end; n < VALUES_MAX && (values[n] = strtof(text, &end), end != text);
         n++)
        text = *end == ',' ? end + 1 : end;
    return n;
}

/* In -1..1, different everywhere. */
static void put_weights(struct onnx_build *b, const char *name, int rank,
                        const int64_t *dims)
{
    uint64_t state = (uint64_t)*name;
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dims[d];
    float *values = malloc(sizeof(*values) * (size_t)n);
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)(2 * test_random(&state) - 1);
    onnx_build_weights(b, name, rank, dims, values);
    free(values);
}

static void put_booleans(struct onnx_build *b, const char *name, int rank,
                         const int64_t *dims, const int64_t *values, int n)
{
    unsigned char bytes[VALUES_MAX];
    for (int i = 0; i < n; i++)
        bytes[i] = values[i] != 0;
    onnx_build_raw(b, name, SAL_ONNX_BOOL, rank, dims, bytes, (size_t)n);
}

static void put_input(struct onnx_build *b, const char *name, const char *words)
{
    if (*words == '~') {
        int64_t weights[VALUES_MAX];
        int axes = numbers(words + 1, 'x', weights);
        put_weights(b, name, axes, weights);
        return;
    }
    int64_t dims[VALUES_MAX], values[VALUES_MAX];
    float values_real[VALUES_MAX];
    const char *list = strpbrk(words, "[{");
    int rank = list == words ? 1 : numbers(words, 'x', dims);
    if (!list) {
        onnx_build_input(b, name, SAL_ONNX_FLOAT, rank, dims);
        return;
    }
    int n =
        *list == '[' ? numbers(list + 1, ',', values) : reals(list + 1, values_real);
    if (list == words)
        dims[0] = n;
    if (list > words && list[-1] == 'b')
        put_booleans(b, name, rank, dims, values, n);
    else if (*list == '[')
        onnx_build_indices(b, name, rank, dims, values);
    else
        onnx_build_weights(b, name, rank, dims, values_real);
}

static void put_attribute(struct onnx_build *b, const char *name, const char *value)
{
    int64_t values[VALUES_MAX];
    float values_real[VALUES_MAX];
    int n = numbers(value, ',', values);
    bool fraction = strchr(value, '.'), list = strchr(value, ',');
    if (!n)
        onnx_build_string(b, name, value);
    else if (fraction && list)
        onnx_build_floats(b, name, reals(value, values_real), values_real);
    else if (list)
        onnx_build_ints(b, name, n, values);
    else if (fraction)
        onnx_build_float(b, name, strtof(value, NULL));
    else
        onnx_build_int(b, name, values[0]);
}

static void build(struct onnx_build *b)
{
    char inputs[64] = "", attributes[2 * SENTENCE_TEXT], *rest = attributes;
    for (int i = 0; i < SENTENCE_INPUTS && said->input[i]; i++) {
        char name[] = {(char)('a' + i), '\0'};
        if (*said->input[i])
            put_input(b, name, said->input[i]);
        snprintf(inputs + strlen(inputs), sizeof(inputs) - strlen(inputs), "%s%s",
                 i ? "," : "", *said->input[i] ? name : "");
    }
    onnx_build_node(b, said->op, inputs, said->outputs);
    snprintf(attributes, sizeof(attributes), "%s",
             said->attributes ? said->attributes : "");
    for (char *token; (token = strtok_r(rest, " ", &rest));) {
        char *value = strchr(token, '=');
        *value = '\0';
        put_attribute(b, token, value + 1);
    }
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

struct gradient_case sentence_case(const struct sentence *sentence, char *name,
                                   size_t size)
{
    snprintf(name, size, "%s-%d %s", sentence->op, (int)sentence->opset,
             sentence->attributes ? sentence->attributes : "");
    said = sentence;
    return (struct gradient_case){
        .name = name,
        .build = build,
        .opset = sentence->opset,
        .low = sentence->low,
        .high = sentence->high,
    };
}

/* ---- random sentences
 * ---------------------------------------------------------------- */

int roll(struct random_sentence *r, int low, int high)
{
    return low + (int)(test_random(&r->dice) * (double)(high - low + 1));
}

void say_input(struct random_sentence *r, int i, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->input[i], sizeof(r->input[i]), format, args);
    va_end(args);
    r->s.input[i] = r->input[i];
}

void say_attributes(struct random_sentence *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->attributes, sizeof(r->attributes), format, args);
    va_end(args);
    r->s.attributes = r->attributes;
}
