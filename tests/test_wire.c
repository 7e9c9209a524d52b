#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "wire.h"

static struct sal_wire wire_of(const void *bytes, size_t size)
{
    return sal_wire_begin((struct sal_span){bytes, size});
}

#define WIRE(...) wire_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void assert_fault(struct sal_wire wire, const char *fault)
{
    struct sal_wire_field field;
    while (sal_wire_next(&wire, &field))
        assert_null(wire.fault);
    assert_non_null(wire.fault);
    assert_string_equal(wire.fault, fault);
    assert_false(sal_wire_next(&wire, &field));
}

static void fields_of_every_type_are_read(void **state)
{
    (void)state;
    struct sal_wire wire = WIRE(0x08, 0x96, 0x01,                         /* 1: 150 */
                                0x11, 1, 2, 3, 4, 5, 6, 7, 8,             /* 2: 64 bits */
                                0x1d, 0, 0, 0x80, 0x3f,                   /* 3: 1.0f */
                                0x22, 2, 'o', 'k',                        /* 4: text */
                                0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00);      /* the last number */
    struct sal_wire_field field;
    assert_true(sal_wire_next(&wire, &field));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.value, 150);
    assert_int_equal(field.bytes.size, 2);
    assert_true(sal_wire_next(&wire, &field));
    assert_true(field.value == UINT64_C(0x0807060504030201));
    assert_true(sal_wire_next(&wire, &field));
    assert_int_equal(field.value, 0x3f800000);
    assert_true(sal_wire_next(&wire, &field));
    assert_int_equal(field.bytes.size, 2);
    assert_memory_equal(field.bytes.data, "ok", 2);
    assert_true(sal_wire_next(&wire, &field));
    assert_int_equal(field.number, (1 << 29) - 1);
    assert_false(sal_wire_next(&wire, &field));
    assert_null(wire.fault);
}

static void varints_end_at_ten_bytes_and_64_bits(void **state)
{
    (void)state;
    struct sal_wire_field field;
    struct sal_wire wire = WIRE(0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1);
    assert_true(sal_wire_next(&wire, &field));
    assert_true(field.value == UINT64_MAX);
    assert_fault(WIRE(0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2),
                 "a varint has more than 64 bits");
    assert_fault(WIRE(0x08, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0),
                 "a varint has more than 64 bits");
    assert_fault(WIRE(0x08, 0x80), "a varint is cut short");
}

static void malformed_tags_are_refused(void **state)
{
    (void)state;
    assert_fault(WIRE(0x00, 0x00), "a field number is out of range");
    assert_fault(WIRE(0x80, 0x80, 0x80, 0x80, 0x10, 0x00), "a field number is out of range");
    assert_fault(WIRE(0x0b), "groups are not used in ONNX");
    assert_fault(WIRE(0x0c), "groups are not used in ONNX");
    assert_fault(WIRE(0x0e, 0), "a field has an unknown wire type");
    assert_fault(WIRE(0x0f, 0), "a field has an unknown wire type");
    assert_fault(WIRE(0x08), "a field has no value");
}

static void lengths_stay_within_what_remains(void **state)
{
    (void)state;
    assert_fault(WIRE(0x0a, 3, 'a', 'b'), "a length runs past the end");
    assert_fault(WIRE(0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 'a'),
                 "a length runs past the end");
    assert_fault(WIRE(0x09, 1, 2, 3, 4, 5, 6, 7), "a number is cut short");
    assert_fault(WIRE(0x0d, 1, 2, 3), "a number is cut short");
}

static void a_fault_stands_where_the_field_begins(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x08, 1, 0x0b};
    struct sal_wire wire = wire_of(bytes, sizeof bytes);
    struct sal_wire_field field;
    while (sal_wire_next(&wire, &field))
        ;
    assert_int_equal(wire.at - bytes, 2);
}

static void packed_values_are_counted_and_read(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 0x96, 1, 0};
    struct sal_span span = {bytes, sizeof bytes};
    assert_int_equal(sal_wire_count(span, SAL_WIRE_VARINT), 3);
    assert_int_equal(sal_wire_count(span, SAL_WIRE_32), 1);
    assert_int_equal(sal_wire_count(span, SAL_WIRE_64), 0);
    struct sal_wire wire = sal_wire_begin(span);
    struct sal_wire_field field;
    static const uint64_t expected[] = {1, 150, 0};
    for (int i = 0; i < 3; i++) {
        assert_true(sal_wire_value(&wire, SAL_WIRE_VARINT, &field));
        assert_true(field.value == expected[i]);
    }
    assert_false(sal_wire_value(&wire, SAL_WIRE_VARINT, &field));
    assert_null(wire.fault);
}

static void nothing_is_a_message_without_fields(void **state)
{
    (void)state;
    struct sal_wire wire = sal_wire_begin((struct sal_span){NULL, 0});
    struct sal_wire_field field;
    assert_false(sal_wire_next(&wire, &field));
    assert_null(wire.fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_every_type_are_read),
        cmocka_unit_test(varints_end_at_ten_bytes_and_64_bits),
        cmocka_unit_test(malformed_tags_are_refused),
        cmocka_unit_test(lengths_stay_within_what_remains),
        cmocka_unit_test(a_fault_stands_where_the_field_begins),
        cmocka_unit_test(packed_values_are_counted_and_read),
        cmocka_unit_test(nothing_is_a_message_without_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
