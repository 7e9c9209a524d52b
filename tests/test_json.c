#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "saliscope/json.h"

/* Reads the document back with another implementation. */
static json_t *parse(const struct sal_buffer *buffer)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)buffer->data, buffer->size,
                              JSON_REJECT_DUPLICATES, &error);
    if (!root)
        print_message("%s\n%.*s\n", error.text, (int)buffer->size, (char *)buffer->data);
    assert_non_null(root);
    return root;
}

static void nested_documents_read_back(void **state)
{
    (void)state;
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    sal_json_object(&json, NULL);
    sal_json_text(&json, "text", "a");
    sal_json_text(&json, "null", NULL);
    sal_json_object(&json, "empty");
    sal_json_end(&json);
    sal_json_array(&json, "list");
    sal_json_int(&json, NULL, INT64_MIN);
    sal_json_bool(&json, NULL, true);
    sal_json_array(&json, NULL);
    sal_json_end(&json);
    sal_json_end(&json);
    sal_json_reals(&json, "reals", (double[]){1.5, -2}, 2);
    sal_json_ints(&json, "ints", (int64_t[]){3, 4, 5}, 3);
    sal_json_end(&json);
    json_t *root = parse(&buffer);
    assert_string_equal(json_string_value(json_object_get(root, "text")), "a");
    assert_true(json_is_null(json_object_get(root, "null")));
    assert_int_equal(json_object_size(json_object_get(root, "empty")), 0);
    json_t *list = json_object_get(root, "list");
    assert_int_equal(json_array_size(list), 3);
    assert_true(json_integer_value(json_array_get(list, 0)) == INT64_MIN);
    assert_true(json_is_true(json_array_get(list, 1)));
    assert_int_equal(json_array_size(json_object_get(root, "reals")), 2);
    assert_int_equal(json_array_size(json_object_get(root, "ints")), 3);
    assert_int_equal(buffer.data[buffer.size - 1], '\n');
    json_decref(root);
    sal_buffer_release(&buffer);
}

static void floats_read_back_as_the_same_float(void **state)
{
    (void)state;
    const float values[] = {0.1f, 1.0f / 3, 16777217.0f, 1.17549435e-38f, -3.4e38f, 0.0f};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        struct sal_buffer buffer = {0};
        struct sal_json json = {.out = &buffer};
        sal_json_object(&json, NULL);
        sal_json_real(&json, "v", (double)values[i]);
        sal_json_end(&json);
        json_t *root = parse(&buffer);
        float back = (float)json_number_value(json_object_get(root, "v"));
        assert_memory_equal(&back, &values[i], sizeof(back));
        json_decref(root);
        sal_buffer_release(&buffer);
    }
}

static void what_is_not_finite_becomes_null(void **state)
{
    (void)state;
    const double values[] = {(double)NAN, HUGE_VAL, -HUGE_VAL};
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    sal_json_object(&json, NULL);
    sal_json_reals(&json, "v", values, 3);
    sal_json_real(&json, "w", values[0]);
    sal_json_end(&json);
    json_t *root = parse(&buffer), *list = json_object_get(root, "v");
    for (size_t i = 0; i < 3; i++)
        assert_true(json_is_null(json_array_get(list, i)));
    assert_true(json_is_null(json_object_get(root, "w")));
    json_decref(root);
    sal_buffer_release(&buffer);
}

static void hostile_text_is_valid_and_shows_no_controls(void **state)
{
    (void)state;
    const char *texts[] = {"a\"b\\c\n\t\x01\x1b[31m", "caf\xc3\xa9 \xf0\x9f\xab\x81",
                           "cut \xc3", "over\xc0\xaf long \xe0\x80\xaf",
                           "half \xed\xa0\x80 pair", "bidi \xe2\x80\xae name", "\xff\xfe"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct sal_buffer buffer = {0};
        struct sal_json json = {.out = &buffer};
        sal_json_object(&json, NULL);
        sal_json_text(&json, texts[i], texts[i]);
        sal_json_end(&json);
        json_decref(parse(&buffer));
        for (size_t k = 0; k < buffer.size; k++)
            assert_true(buffer.data[k] >= 0x20 || buffer.data[k] == '\n');
        assert_null(memmem(buffer.data, buffer.size, "\xe2\x80\xae", 3));
        sal_buffer_release(&buffer);
    }
}

static void numbers_do_not_follow_the_locale(void **state)
{
    (void)state;
    const char *names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    bool found = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !found; i++)
        found = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!found) {
        print_message("skip: no locale with a decimal comma\n");
        return;
    }
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    sal_json_array(&json, NULL);
    sal_json_real(&json, NULL, 0.25);
    sal_json_end(&json);
    setlocale(LC_NUMERIC, "C");
    assert_non_null(memmem(buffer.data, buffer.size, "0.25", 4));
    sal_buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_documents_read_back),
        cmocka_unit_test(floats_read_back_as_the_same_float),
        cmocka_unit_test(what_is_not_finite_becomes_null),
        cmocka_unit_test(hostile_text_is_valid_and_shows_no_controls),
        cmocka_unit_test(numbers_do_not_follow_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
