/* Einsum against loops over every letter, over random equations and over some whose
 * operands are read as matrices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentence.h"
#include "twin.h"

enum { OPERANDS = 3, LETTERS = 6, AXES = 4 };

struct equation {
    int n;
    char term[OPERANDS][AXES + 1], output[LETTERS + 1];
    int size[LETTERS]; /* of a, b, c, ... */
};

static int size_of(const struct equation *e, char letter)
{
    return e->size[letter - 'a'];
}

static int64_t count_of(const struct equation *e, const char *term)
{
    int64_t n = 1;
    for (; *term; term++)
        n *= size_of(e, *term);
    return n;
}

/* Where a term's element is for the letters' values. */
static int64_t place(const struct equation *e, const char *term, const int *value)
{
    int64_t at = 0;
    for (; *term; term++)
        at = at * size_of(e, *term) + value[*term - 'a'];
    return at;
}

static bool has_letter(const struct equation *e, int letter)
{
    bool there = false;
    for (int i = 0; i < e->n; i++)
        there |= strchr(e->term[i], 'a' + letter) != NULL;
    return there;
}

/* y is the sum over everything that is not in the output. */
static void plainly(const struct equation *e, double *const *x, double *y)
{
    int value[LETTERS] = {0}, letter = 0;
    memset(y, 0, sizeof(*y) * (size_t)count_of(e, e->output));
    while (letter >= 0) {
        double product = 1;
        for (int i = 0; i < e->n; i++)
            product *= x[i][place(e, e->term[i], value)];
        y[place(e, e->output, value)] += product;
        for (letter = LETTERS - 1; letter >= 0; letter--) {
            if (has_letter(e, letter) && ++value[letter] < e->size[letter])
                break;
            value[letter] = 0;
        }
    }
}

static void say(const struct equation *e, struct random_sentence *r)
{
    char text[SENTENCE_TEXT] = "";
    r->s = (struct sentence){.op = "Einsum", .opset = 12, .outputs = "y"};
    for (int i = 0; i < e->n; i++) {
        char shape[SENTENCE_TEXT] = "";
        for (const char *letter = e->term[i]; *letter; letter++)
            snprintf(shape + strlen(shape), sizeof(shape) - strlen(shape), "%s%d",
                     *shape ? "x" : "", size_of(e, *letter));
        say_input(r, i, "%s", shape);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "",
                 e->term[i]);
    }
    say_attributes(r, "equation=%s->%s", text, e->output);
}

static void compare(const char *name, const struct twin_result *result, const double *y,
                    int64_t n, double tolerance)
{
    assert_int_equal(result->n_y, n);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(result->y[i] - y[i]) <= tolerance * (1 + fabs(y[i]))))
            fail_msg("%s: y[%lld] is %.12g, expected %.12g", name, (long long)i,
                     result->y[i], y[i]);
}

static double *random_values(int64_t n, uint64_t seed)
{
    double *x = malloc(sizeof(*x) * (size_t)n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (double)(float)(2 * test_random(&seed) - 1);
    return x;
}

static void check_equation(const struct equation *e)
{
    static struct random_sentence r;
    struct onnx_build b;
    struct twin_case twin = {0};
    struct twin_result result;
    char name[400];
    double *x[OPERANDS], *y = malloc(sizeof(*y) * (size_t)count_of(e, e->output));
    say(e, &r);
    struct gradient_case c = sentence_case(&r.s, name, sizeof(name));
    onnx_build_init(&b, 12);
    c.build(&b);
    twin.model = onnx_build_finish(&b);
    for (int i = 0; i < e->n; i++) {
        x[i] = random_values(count_of(e, e->term[i]), (uint64_t)i);
        twin.input[i] = x[i];
    }
    plainly(e, x, y);
    if (!sal_twin_float(&twin, &result))
        fail_msg("%s: %s", name, result.message);
    compare(name, &result, y, count_of(e, e->output), 1e-5);
    twin_result_release(&result);
    if (!sal_twin_double(&twin, &result))
        fail_msg("%s: %s", name, result.message);
    compare(name, &result, y, count_of(e, e->output), 1e-12);
    twin_result_release(&result);
    for (int i = 0; i < e->n; i++)
        free(x[i]);
    free(y);
    onnx_build_release(&b);
}

/* ---- batches ------------------------------------------------------------------------ */

/* y of one model in float; x may begin at any image. */
static double *run_float(const struct equation *e, const double *const *x)
{
    static struct random_sentence r;
    struct onnx_build b;
    struct twin_case twin = {0};
    struct twin_result result;
    char name[400];
    say(e, &r);
    struct gradient_case c = sentence_case(&r.s, name, sizeof(name));
    onnx_build_init(&b, 12);
    c.build(&b);
    twin.model = onnx_build_finish(&b);
    for (int i = 0; i < e->n; i++)
        twin.input[i] = x[i];
    if (!sal_twin_float(&twin, &result))
        fail_msg("%s: %s", name, result.message);
    double *y = result.y;
    result.y = NULL;
    twin_result_release(&result);
    onnx_build_release(&b);
    return y;
}

/* The letter a crosses the images, of which there are as many as e->size[0]. */
static void check_batch(const struct equation *e)
{
    struct equation alone = *e;
    const double *one[OPERANDS];
    double *x[OPERANDS];
    alone.size[0] = 1;
    for (int i = 0; i < e->n; i++)
        x[i] = random_values(count_of(e, e->term[i]), (uint64_t)i);
    double *all = run_float(e, (const double *const *)x);
    for (int image = 0; image < e->size[0]; image++) {
        for (int i = 0; i < e->n; i++)
            one[i] = x[i] + (e->term[i][0] == 'a' ? image * count_of(&alone, e->term[i]) : 0);
        double *y = run_float(&alone, one);
        int64_t n = count_of(&alone, e->output);
        assert_memory_equal(y, all + image * n, sizeof(*y) * (size_t)n);
        free(y);
    }
    free(all);
    for (int i = 0; i < e->n; i++)
        free(x[i]);
}

static void an_image_has_the_same_bits_in_any_batch(void **state)
{
    (void)state;
    static const struct equation equations[] = {
        {2, {"ab", "bc"}, "ac", {5, 133, 70}},
        {2, {"ab", "cb"}, "ac", {5, 133, 70}},
        {2, {"abc", "dc"}, "abd", {4, 20, 160, 27}},
        {2, {"cd", "abc"}, "abd", {4, 20, 160, 27}},
        {2, {"abcd", "aecd"}, "acbe", {3, 17, 3, 80, 29}},
        {3, {"ab", "bc", "ac"}, "ac", {3, 40, 20}},
    };
    for (size_t i = 0; i < COUNT(equations); i++)
        check_batch(&equations[i]);
}

/* ---- equations ---------------------------------------------------------------------- */

static void draw(struct random_sentence *dice, struct equation *e)
{
    int n = 0, start = roll(dice, 0, LETTERS - 1), step = roll(dice, 0, 1) ? 1 : 5;
    *e = (struct equation){.n = roll(dice, 1, OPERANDS)};
    for (int i = 0; i < LETTERS; i++)
        e->size[i] = roll(dice, 1, 3);
    for (int i = 0; i < e->n; i++)
        for (int axis = roll(dice, 1, AXES); axis > 0; axis--)
            e->term[i][axis - 1] = (char)('a' + roll(dice, 0, LETTERS - 1));
    for (int i = 0; i < LETTERS; i++) {
        int letter = (start + i * step) % LETTERS;
        if (has_letter(e, letter) && roll(dice, 0, 2))
            e->output[n++] = (char)('a' + letter);
    }
}

static void random_equations_are_what_loops_say(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct random_sentence dice = {.dice = (uint64_t)i * 7919};
        struct equation e;
        draw(&dice, &e);
        check_equation(&e);
    }
}

static void products_of_matrices_are_what_loops_say(void **state)
{
    (void)state;
    static const struct equation equations[] = {
        {2, {"ab", "bc"}, "ac", {7, 33, 300}},
        {2, {"ba", "cb"}, "ac", {7, 33, 300}},
        {2, {"ab", "cb"}, "ca", {70, 33, 30}},
        {2, {"ba", "bc"}, "ca", {70, 33, 30}},
        {2, {"abcd", "aecd"}, "acbe", {2, 17, 3, 8, 290}},
        {2, {"acbe", "aecd"}, "abcd", {2, 9, 3, 8, 21}},
        {2, {"abc", "dc"}, "abd", {3, 20, 16, 270}},
        {2, {"abc", "cd"}, "adb", {3, 20, 16, 27}},
        {2, {"abcd", "cde"}, "abe", {2, 3, 4, 5, 60}},
        {2, {"a", "a"}, "", {1000}},
        {2, {"a", "b"}, "ab", {40, 50}},
        {2, {"ab", "b"}, "a", {40, 500}},
    };
    for (size_t i = 0; i < COUNT(equations); i++)
        check_equation(&equations[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_equations_are_what_loops_say),
        cmocka_unit_test(products_of_matrices_are_what_loops_say),
        cmocka_unit_test(an_image_has_the_same_bits_in_any_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
