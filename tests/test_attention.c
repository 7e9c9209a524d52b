/* Attention and RotaryEmbedding against onnx's reference evaluator, whose answers to
 * small cases are recorded (tests/recorded/attention.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentence.h"
#include "twin.h"

enum { RECORDED_MAX = 96 };

struct recorded {
    struct sentence s;
    int n;
    double y[RECORDED_MAX];
};

#include "recorded/attention_data.h"

/* Elements of an input as the sentence says it; 0 where it is none. */
static int64_t count_of(const char *words)
{
    int64_t n = 1;
    if (!*words || strpbrk(words, "[{"))
        return 0;
    for (char *end; n *= strtoll(words, &end, 10), *end; words = end + 1)
        ;
    return n;
}

static double *input_values(const char *words, int j)
{
    int64_t n = count_of(words);
    double *x = malloc(sizeof(*x) * (size_t)n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (double)((37 * i + 101 * j + 17) % 64 - 32) / 16;
    return x;
}

static void check_values(const struct recorded *r, const char *name,
                         const struct twin_result *result)
{
    if (result->n_y != r->n)
        fail_msg("%s: %lld values, expected %d", name, (long long)result->n_y, r->n);
    for (int i = 0; i < r->n; i++) {
        bool same = isinf(r->y[i]) ? result->y[i] == r->y[i]
                                   : fabs(result->y[i] - r->y[i]) <= 2e-6;
        if (!same)
            fail_msg("%s: y[%d] is %.9g, expected %.9g", name, i, result->y[i], r->y[i]);
    }
}

static void check_recorded(const struct recorded *r)
{
    struct onnx_build b;
    struct twin_result result;
    struct twin_case twin = {0};
    char name[160];
    double *x[SENTENCE_INPUTS];
    int n = 0;
    struct gradient_case c = sentence_case(&r->s, name, sizeof(name));
    onnx_build_init(&b, r->s.opset);
    c.build(&b);
    twin.model = onnx_build_finish(&b);
    for (int j = 0; j < SENTENCE_INPUTS && r->s.input[j]; j++)
        if (count_of(r->s.input[j])) {
            x[n] = input_values(r->s.input[j], j);
            twin.input[n] = x[n];
            n++;
        }
    for (int precision = 0; precision < 2; precision++) {
        bool ok = precision ? sal_twin_double(&twin, &result)
                            : sal_twin_float(&twin, &result);
        if (!ok)
            fail_msg("%s: %s", name, result.message);
        check_values(r, name, &result);
        twin_result_release(&result);
    }
    for (int i = 0; i < n; i++)
        free(x[i]);
    onnx_build_release(&b);
}

static void attention_is_what_the_reference_evaluator_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(recorded); i++)
        check_recorded(&recorded[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_what_the_reference_evaluator_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
