#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../src/cli/options.c" /* the command line is no part of the library */

/* Parses words after "saliscope explain". */
static enum sal_status parse_words(struct options *options, struct sal_error *err,
                                   int n, const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t)"saliscope", (char *)(uintptr_t)"explain"};
    for (int i = 0; i < n; i++)
        argv[2 + i] = (char *)(uintptr_t)words[i];
    *err = (struct sal_error){0};
    return options_parse(options, n + 2, argv, 2, CMD_EXPLAIN, err);
}

#define PARSE(options, err, ...)                                                        \
    parse_words((options), (err),                                                       \
                (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)),     \
                (const char *const[]){__VA_ARGS__})

static void every_form_of_a_value_is_understood(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    const char *const forms[][2] = {
        {"--class=1"}, {"--class", "1"}, {"-c1"}, {"-c", "1"}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        int words = forms[i][1] ? 2 : 1;
        assert_int_equal(parse_words(&options, &err, words, forms[i]), SAL_OK);
        assert_string_equal(option_text(&options, OPT_CLASS, ""), "1");
        assert_int_equal(options.n_operands, 0);
        options_release(&options);
    }
}

static void operands_options_and_a_lone_dash_mix(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    assert_int_equal(PARSE(&options, &err, "a.png", "-m", "m.onnx", "-o", "-", "b.png",
                           "--", "--json"),
                     SAL_OK);
    assert_int_equal(options.n_operands, 3);
    assert_string_equal(options.operands[0], "a.png");
    assert_string_equal(options.operands[1], "b.png");
    assert_string_equal(options.operands[2], "--json");
    assert_string_equal(option_text(&options, OPT_OUTPUT, ""), "-");
    assert_false(option_given(&options, OPT_JSON));
    options_release(&options);
}

static void an_empty_word_is_an_operand(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    assert_int_equal(PARSE(&options, &err, ""), SAL_OK);
    assert_int_equal(options.n_operands, 1);
    options_release(&options);
}

static void repeated_options_are_kept_in_order_where_they_may_repeat(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    assert_int_equal(PARSE(&options, &err, "-P", "a=1", "-Pb=2", "--param=c=3"), SAL_OK);
    const struct option_values *pairs = &options.value[OPT_PARAM];
    assert_int_equal(pairs->count, 3);
    assert_string_equal(pairs->text[0], "a=1");
    assert_string_equal(pairs->text[1], "b=2");
    assert_string_equal(pairs->text[2], "c=3");
    options_release(&options);
    assert_int_equal(PARSE(&options, &err, "-l", "a", "--layer=b"), SAL_USAGE);
    assert_non_null(strstr(err.text, "twice"));
    options_release(&options);
}

static void flags_may_be_bundled_before_a_value(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    assert_int_equal(PARSE(&options, &err, "-qc", "2"), SAL_OK);
    assert_true(option_given(&options, OPT_QUIET));
    assert_string_equal(option_text(&options, OPT_CLASS, ""), "2");
    options_release(&options);
}

static void numbers_keep_to_their_range(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    const char *const bad[] = {"--alpha=1.5",   "--alpha=-0.1", "--alpha=nan",
                               "--alpha=x",     "--alpha=",     "--threads=-1",
                               "--threads=1.5", "--memory=",    "--memory=5X",
                               "--memory=K",    "--memory=1KK", "--memory=0",
                               "--seed=1e300",  "--at=nowhere", "--batch=0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(PARSE(&options, &err, bad[i]), SAL_USAGE);
        assert_non_null(strstr(err.text, "takes"));
        options_release(&options);
    }
    assert_int_equal(PARSE(&options, &err, "--memory=2g", "--alpha=1"), SAL_OK);
    assert_true(option_number(&options, OPT_MEMORY, 0) == 2147483648.0);
    assert_true(option_number(&options, OPT_ALPHA, 0) == 1);
    options_release(&options);
}

static void an_unknown_name_is_told_with_the_nearest(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    assert_int_equal(PARSE(&options, &err, "--metod=gradcam"), SAL_USAGE);
    assert_non_null(strstr(err.text, "--metod"));
    assert_non_null(strstr(err.text, "--method is near"));
    options_release(&options);
    assert_int_equal(PARSE(&options, &err, "--frobnicate"), SAL_USAGE);
    assert_null(strstr(err.text, "near"));
    options_release(&options);
    assert_int_equal(PARSE(&options, &err, "-Z"), SAL_USAGE);
    options_release(&options);
}

static void a_missing_or_unwanted_value_is_told(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    assert_int_equal(PARSE(&options, &err, "--class"), SAL_USAGE);
    assert_non_null(strstr(err.text, "needs a value"));
    options_release(&options);
    assert_int_equal(PARSE(&options, &err, "-m"), SAL_USAGE);
    options_release(&options);
    assert_int_equal(PARSE(&options, &err, "--json=yes"), SAL_USAGE);
    assert_non_null(strstr(err.text, "takes no value"));
    options_release(&options);
}

static void an_option_of_another_command_is_refused(void **state)
{
    (void)state;
    struct options options;
    struct sal_error err;
    assert_int_equal(PARSE(&options, &err, "--top=3"), SAL_USAGE);
    assert_non_null(strstr(err.text, "--top"));
    options_release(&options);
}

static void every_row_is_whole_and_unique(void **state)
{
    (void)state;
    for (int id = 0; id < OPT_N; id++) {
        const struct option *row = &option_table[id];
        assert_non_null(row->name);
        assert_non_null(row->help);
        assert_true(row->commands != 0);
        assert_int_equal(row->kind == OPTION_FLAG, row->argument == NULL);
        assert_int_equal(row->kind == OPTION_CHOICE, row->choices != NULL);
        assert_int_equal(find_name(row->name, strlen(row->name)), id);
        if (row->letter)
            assert_int_equal(find_letter(row->letter), id);
        if (row->kind == OPTION_INT || row->kind == OPTION_REAL)
            assert_true(row->max > row->min);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_a_value_is_understood),
        cmocka_unit_test(operands_options_and_a_lone_dash_mix),
        cmocka_unit_test(an_empty_word_is_an_operand),
        cmocka_unit_test(repeated_options_are_kept_in_order_where_they_may_repeat),
        cmocka_unit_test(flags_may_be_bundled_before_a_value),
        cmocka_unit_test(numbers_keep_to_their_range),
        cmocka_unit_test(an_unknown_name_is_told_with_the_nearest),
        cmocka_unit_test(a_missing_or_unwanted_value_is_told),
        cmocka_unit_test(an_option_of_another_command_is_refused),
        cmocka_unit_test(every_row_is_whole_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
