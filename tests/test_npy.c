#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "data.h"
#include "saliscope/npy.h"

static struct sal_span span_of(const struct sal_buffer *buffer)
{
    return (struct sal_span){buffer->data, buffer->size};
}

/* A version 1.0 file with this header text and size bytes of zeros behind it. */
static enum sal_status decode_text(const char *text, size_t size, struct sal_error *err)
{
    struct sal_buffer file = {0};
    uint8_t prefix[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)strlen(text),
                          (uint8_t)(strlen(text) >> 8)};
    uint8_t zeros[256] = {0};
    sal_buffer_append(&file, prefix, sizeof(prefix));
    sal_buffer_append(&file, text, strlen(text));
    sal_buffer_append(&file, zeros, size);
    struct sal_npy array;
    enum sal_status status = sal_npy_decode(&array, span_of(&file), "x.npy", err);
    if (!status)
        sal_npy_release(&array);
    sal_buffer_release(&file);
    return status;
}

static void an_array_survives_writing_and_reading(void **state)
{
    (void)state;
    float data[24];
    for (int i = 0; i < 24; i++)
        data[i] = (float)i * 0.37f - 3;
    data[5] = NAN;
    data[6] = -INFINITY;
    static const int64_t shapes[][4] = {{24}, {4, 6}, {2, 3, 4}, {1, 2, 3, 4}};
    for (int rank = 0; rank <= 4; rank++) {
        struct sal_buffer file = {0};
        sal_npy_encode(&file, data, rank ? shapes[rank - 1] : NULL, rank);
        assert_false(file.failed);
        int64_t count = rank ? 24 : 1;
        assert_int_equal((file.size - (size_t)count * 4) % 64, 0);
        struct sal_npy array;
        assert_int_equal(sal_npy_decode(&array, span_of(&file), "x", NULL), SAL_OK);
        assert_int_equal(array.rank, rank);
        assert_int_equal(array.count, count);
        for (int i = 0; i < rank; i++)
            assert_int_equal(array.shape[i], shapes[rank - 1][i]);
        assert_memory_equal(array.data, data, (size_t)count * 4);
        sal_npy_release(&array);
        sal_buffer_release(&file);
    }
}

static void the_header_is_numpys_own(void **state)
{
    (void)state;
    struct sal_buffer file = {0};
    sal_npy_encode(&file, (float[]){1, 2, 3}, (int64_t[]){3}, 1);
    static const char wanted[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
    assert_memory_equal(file.data + 10, wanted, sizeof(wanted) - 1);
    assert_int_equal(file.data[127], '\n');
    assert_int_equal(file.size, 128 + 12);
    sal_buffer_release(&file);
}

static void an_impossible_shape_fails_the_buffer(void **state)
{
    (void)state;
    struct sal_buffer file = {0};
    sal_npy_encode(&file, (float[]){1}, (int64_t[]){-1}, 1);
    assert_true(file.failed);
    sal_buffer_release(&file);
    sal_npy_encode(&file, (float[]){1}, (int64_t[]){INT64_MAX / 2, 4}, 2);
    assert_true(file.failed);
    sal_buffer_release(&file);
}

static uint32_t le32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static void an_archive_holds_each_array_with_its_checksum(void **state)
{
    (void)state;
    struct sal_buffer zip = {0};
    sal_buffer_append(&zip, "????", 4); /* offsets count from where the archive starts */
    const struct sal_npz_entry entries[] = {
        {"map", (float[]){1, 2, 3, 4}, {2, 2}, 2},
        {"score", (float[]){5}, {0}, 0},
    };
    assert_int_equal(sal_npz_encode(&zip, entries, 2, NULL), SAL_OK);
    const uint8_t *start = zip.data + 4, *end = zip.data + zip.size - 22;
    assert_int_equal(le32(end), 0x06054B50);
    const uint8_t *central = start + le32(end + 16);
    assert_ptr_equal(central + le32(end + 12), end);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(le32(central), 0x02014B50);
        size_t name = central[28], size = le32(central + 20);
        const uint8_t *local = start + le32(central + 42);
        assert_int_equal(le32(local), 0x04034B50);
        assert_memory_equal(local + 30, central + 46, name);
        assert_int_equal(crc32(0, local + 30 + name, (uInt)size), le32(central + 16));
        struct sal_npy array;
        struct sal_span inside = {local + 30 + name, size};
        assert_int_equal(sal_npy_decode(&array, inside, "x", NULL), SAL_OK);
        assert_true(array.data[0] == entries[i].data[0]);
        sal_npy_release(&array);
        central += 46 + name;
    }
    sal_buffer_release(&zip);
}

static void headers_are_read_as_python_would(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{\"shape\":(2,3,),\"descr\":\"<f4\",\"fortran_order\":False}",
        "  { 'fortran_order' : False , 'shape' : ( 6 , ) , 'descr' : '<f4' } ",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (6,)}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sal_error err = {0};
        if (decode_text(texts[i], 24, &err))
            fail_msg("%s: %s", texts[i], err.text);
    }
}

static void hostile_headers_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sal_status status;
        const char *message;
    } cases[] = {
        {"", SAL_BAD_INPUT, "malformed"},
        {"{", SAL_BAD_INPUT, "malformed"},
        {"{}", SAL_BAD_INPUT, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False}", SAL_BAD_INPUT, "malformed"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (6,)}", SAL_BAD_INPUT, "malformed"},
        {"{'descr': [('a','<f4')], 'fortran_order': False, 'shape': (6,)}", SAL_BAD_INPUT,
         "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-6,)}", SAL_BAD_INPUT, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6)}",
         SAL_BAD_INPUT, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         SAL_BAD_INPUT, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         SAL_BAD_INPUT, "do not fit"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (7,)}", SAL_BAD_INPUT,
         "do not fit"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5,)}", SAL_BAD_INPUT,
         "do not fit"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2,3)}", SAL_UNSUPPORTED, "Fortran"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (6,)}", SAL_UNSUPPORTED, ">f4"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (6,)}", SAL_UNSUPPORTED, "|O"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sal_error err = {0};
        assert_int_equal(decode_text(cases[i].text, 24, &err), cases[i].status);
        assert_non_null(strstr(err.text, cases[i].message));
        assert_non_null(strstr(err.text, "x.npy"));
    }
}

static void no_cut_or_flipped_file_is_believed_blindly(void **state)
{
    (void)state;
    struct sal_buffer file = {0};
    sal_npy_encode(&file, (float[]){1, 2, 3, 4, 5, 6}, (int64_t[]){2, 3}, 2);
    struct sal_npy array;
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *cut = malloc(size + 1); /* so that a read past the end is seen */
        memcpy(cut, file.data, size);
        struct sal_span part = {cut, size};
        assert_int_not_equal(sal_npy_decode(&array, part, "x", NULL), SAL_OK);
        free(cut);
    }
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (sal_npy_decode(&array, span_of(&file), "x", NULL) == SAL_OK) {
            assert_true(array.count == 6 || array.count == 3);
            sal_npy_release(&array);
        }
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    sal_buffer_release(&file);
}

static void a_file_written_by_numpy_is_read(void **state)
{
    (void)state;
    char path[4096];
    if (!shared_data("refs/00_edgepneumonet_logit__00013731_000/gradcam.npy", path,
                     sizeof(path)))
        skip();
    struct sal_file file;
    assert_int_equal(sal_file_read(&file, path, 1 << 20, NULL), SAL_OK);
    struct sal_npy array;
    assert_int_equal(sal_npy_decode(&array, file.bytes, path, NULL), SAL_OK);
    assert_int_equal(array.rank, 2);
    assert_int_equal(array.shape[0], 7);
    assert_int_equal(array.count, 49);
    sal_npy_release(&array);
    sal_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_survives_writing_and_reading),
        cmocka_unit_test(the_header_is_numpys_own),
        cmocka_unit_test(an_impossible_shape_fails_the_buffer),
        cmocka_unit_test(an_archive_holds_each_array_with_its_checksum),
        cmocka_unit_test(headers_are_read_as_python_would),
        cmocka_unit_test(hostile_headers_are_refused_by_name),
        cmocka_unit_test(no_cut_or_flipped_file_is_believed_blindly),
        cmocka_unit_test(a_file_written_by_numpy_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
