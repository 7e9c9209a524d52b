/* Images: what is read is what was stored; what is malformed gives one clear error. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <jpeglib.h>

#include "data.h"
#include "saliscope/buffer.h"
#include "saliscope/image.h"
#include "saliscope/sha256.h"

/* ---- small files of every format ------------------------------------------------- */

static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % sides;
}

static void make_png(struct sal_buffer *out, int channels, int bits)
{
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, 13, 9, channels, bits, NULL), SAL_OK);
    for (int i = 0; i < 13 * 9 * channels; i++)
        image.samples[i] = (uint16_t)dice(image.max + 1);
    assert_int_equal(sal_image_encode_png(&image, 300, NULL, 0, out, NULL), SAL_OK);
    sal_image_release(&image);
}

static void make_png_grey(struct sal_buffer *out) { make_png(out, 1, 8); }
static void make_png_deep(struct sal_buffer *out) { make_png(out, 1, 16); }
static void make_png_colour(struct sal_buffer *out) { make_png(out, 3, 8); }
static void make_png_alpha(struct sal_buffer *out) { make_png(out, 4, 16); }

static void make_jpeg_with(struct sal_buffer *out, int components, bool progressive,
                           int orientation)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL, row[16 * 3];
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = 16;
    jpeg.image_height = 8;
    jpeg.input_components = components;
    jpeg.in_color_space = components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    unsigned char exif[] = "Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0_\0\0\0\0\0\0";
    exif[24] = (unsigned char)orientation;
    if (orientation)
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof(exif) - 1);
    while (jpeg.next_scanline < jpeg.image_height) {
        for (int x = 0; x < 16 * components; x++) /* bright in the left upper corner */
            row[x] = x / components < 8 && jpeg.next_scanline < 4 ? 250 : 10;
        JSAMPROW rows[] = {row};
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    sal_buffer_append(out, data, size);
    free(data);
}

static void make_jpeg(struct sal_buffer *out) { make_jpeg_with(out, 3, false, 0); }
static void make_jpeg_grey(struct sal_buffer *out) { make_jpeg_with(out, 1, false, 0); }
static void make_jpeg_waves(struct sal_buffer *out) { make_jpeg_with(out, 3, true, 0); }

static void make_pgm(struct sal_buffer *out)
{
    sal_buffer_format(out, "P5 6 4 255\n");
    for (int i = 0; i < 24; i++)
        sal_buffer_append(out, &(uint8_t){(uint8_t)(10 * i)}, 1);
}

static void make_ppm(struct sal_buffer *out)
{
    sal_buffer_format(out, "P6 4 3 255\n");
    for (int i = 0; i < 36; i++)
        sal_buffer_append(out, &(uint8_t){(uint8_t)(7 * i)}, 1);
}

static void make_bmp(struct sal_buffer *out)
{
    static const uint8_t head[54] = {'B', 'M', 54 + 24, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0,
                                     40,  0,   0,       0, 2, 0, 0, 0, 3, 0, 0,  0, 1, 0,
                                     24};
    sal_buffer_append(out, head, sizeof(head));
    for (int i = 0; i < 24; i++)
        sal_buffer_append(out, &(uint8_t){(uint8_t)(10 * i)}, 1);
}

static void make_tga(struct sal_buffer *out)
{
    static const uint8_t head[18] = {0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
                                     0, 0, 3, 0, 2, 0, 24, 0x20};
    sal_buffer_append(out, head, sizeof(head));
    for (int i = 0; i < 18; i++)
        sal_buffer_append(out, &(uint8_t){(uint8_t)(13 * i)}, 1);
}

static const struct {
    const char *name, *format;
    void (*make)(struct sal_buffer *out);
    int width, height, channels, bits;
} formats[] = {
    {"grey PNG", "PNG", make_png_grey, 13, 9, 1, 8},
    {"16-bit PNG", "PNG", make_png_deep, 13, 9, 1, 16},
    {"colour PNG", "PNG", make_png_colour, 13, 9, 3, 8},
    {"PNG with alpha", "PNG", make_png_alpha, 13, 9, 4, 16},
    {"JPEG", "JPEG", make_jpeg, 16, 8, 3, 8},
    {"grey JPEG", "JPEG", make_jpeg_grey, 16, 8, 1, 8},
    {"progressive JPEG", "JPEG", make_jpeg_waves, 16, 8, 3, 8},
    {"PGM", "PNM", make_pgm, 6, 4, 1, 8},
    {"PPM", "PNM", make_ppm, 4, 3, 3, 8},
    {"BMP", "BMP", make_bmp, 2, 3, 3, 8},
    {"TGA", "TGA", make_tga, 3, 2, 3, 8},
};

enum { FORMATS = sizeof(formats) / sizeof(*formats) };

static struct sal_span span_of(const struct sal_buffer *buffer)
{
    return (struct sal_span){buffer->data, buffer->size};
}

static void every_format_is_known_by_its_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        struct sal_buffer file = {0};
        struct sal_image image;
        struct sal_error err = {0};
        formats[i].make(&file);
        if (sal_image_decode(&image, span_of(&file), "x", SAL_SANDBOX_BEST, &err))
            fail_msg("%s: %s", formats[i].name, err.text);
        assert_string_equal(image.format, formats[i].format);
        assert_int_equal(image.width, formats[i].width);
        assert_int_equal(image.height, formats[i].height);
        assert_int_equal(image.channels, formats[i].channels);
        assert_int_equal(image.bits, formats[i].bits);
        sal_image_release(&image);
        sal_buffer_release(&file);
    }
}

static void png_keeps_every_sample(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 4; channels++)
        for (int bits = 8; bits <= 16; bits += 8) {
            struct sal_image image, again;
            struct sal_buffer file = {0};
            assert_int_equal(sal_image_init(&image, 31, 17, channels, bits, NULL), SAL_OK);
            for (int i = 0; i < 31 * 17 * channels; i++)
                image.samples[i] = (uint16_t)dice(image.max + 1);
            assert_int_equal(sal_image_encode_png(&image, 0, NULL, 0, &file, NULL), SAL_OK);
            assert_int_equal(
                sal_image_decode(&again, span_of(&file), "x", SAL_SANDBOX_BEST, NULL), SAL_OK);
            assert_int_equal(again.max, image.max);
            assert_memory_equal(again.samples, image.samples,
                                sizeof(uint16_t) * 31 * 17 * (size_t)channels);
            sal_image_release(&image);
            sal_image_release(&again);
            sal_buffer_release(&file);
        }
}

static void the_other_formats_keep_theirs(void **state)
{
    (void)state;
    struct sal_image image;
    struct sal_buffer file = {0};
    make_pgm(&file);
    assert_int_equal(sal_image_decode(&image, span_of(&file), "x", SAL_SANDBOX_BEST, NULL),
                     SAL_OK);
    for (int i = 0; i < 24; i++)
        assert_int_equal(image.samples[i], 10 * i);
    sal_image_release(&image);
    file.size = 0;
    make_bmp(&file); /* from the bottom up, blue first, rows of 8 bytes */
    assert_int_equal(sal_image_decode(&image, span_of(&file), "x", SAL_SANDBOX_BEST, NULL),
                     SAL_OK);
    assert_int_equal(image.samples[0], 10 * 18);
    assert_int_equal(image.samples[2], 10 * 16);
    sal_image_release(&image);
    file.size = 0;
    make_tga(&file);
    assert_int_equal(sal_image_decode(&image, span_of(&file), "x", SAL_SANDBOX_BEST, NULL),
                     SAL_OK);
    assert_int_equal(image.samples[0], 26);
    assert_int_equal(image.samples[2], 0);
    sal_image_release(&image);
    sal_buffer_release(&file);
}

/* The bright corner is left above as stored; here is where a person sees it. */
static void exif_orientation_is_obeyed(void **state)
{
    (void)state;
    static const struct { int right, low, width; } seen[9] = {
        {0}, {0, 0, 16}, {1, 0, 16}, {1, 1, 16}, {0, 1, 16},
        {0, 0, 8},  {1, 0, 8},  {1, 1, 8},  {0, 1, 8}};
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct sal_buffer file = {0};
        struct sal_image image;
        make_jpeg_with(&file, 1, false, orientation);
        assert_int_equal(
            sal_image_decode(&image, span_of(&file), "x", SAL_SANDBOX_BEST, NULL), SAL_OK);
        assert_int_equal(image.orientation, orientation);
        assert_int_equal(image.width, seen[orientation].width);
        int x = seen[orientation].right ? image.width - 2 : 1;
        int y = seen[orientation].low ? image.height - 2 : 1;
        assert_true(image.samples[y * image.width + x] > 200);
        assert_true(image.samples[(image.height - 1 - y) * image.width + image.width - 1 - x] <
                    60);
        sal_image_release(&image);
        sal_buffer_release(&file);
    }
}

/* ---- hostile files ------------------------------------------------------------------ */

static void expect_sane(struct sal_span bytes, enum sal_sandbox_mode mode, const char *name)
{
    struct sal_image image;
    struct sal_error err = {0};
    enum sal_status status = sal_image_decode(&image, bytes, "evil.img", mode, &err);
    if (status == SAL_OK) {
        assert_true(image.width > 0 && image.height > 0);
        sal_image_release(&image);
        return;
    }
    if ((status != SAL_BAD_INPUT && status != SAL_LIMIT && status != SAL_UNSUPPORTED) ||
        !strstr(err.text, "evil.img") || strchr(err.text, '\n'))
        fail_msg("%s: status %d, '%s'", name, status, err.text);
}

static void truncated_files_give_one_line(void **state)
{
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        struct sal_buffer file = {0};
        formats[i].make(&file);
        for (size_t size = 1; size < file.size; size += size < 64 ? 1 : 7) {
            uint8_t *copy = malloc(size); /* so that a read behind it is seen */
            memcpy(copy, file.data, size);
            expect_sane((struct sal_span){copy, size},
                        size % 16 ? SAL_SANDBOX_OFF : SAL_SANDBOX_BEST, formats[i].name);
            free(copy);
        }
        sal_buffer_release(&file);
    }
}

/* stb_image is not asked outside the sandbox: it is known to break there. */
static void flipped_bits_give_one_line(void **state)
{
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        struct sal_buffer file = {0};
        formats[i].make(&file);
        bool own = strcmp(formats[i].format, "PNG") == 0 ||
                   strcmp(formats[i].format, "JPEG") == 0;
        for (int round = 0; round < (own ? 400 : 150); round++) {
            uint8_t *copy = malloc(file.size);
            memcpy(copy, file.data, file.size);
            for (uint32_t flips = 1 + dice(6); flips; flips--)
                copy[dice((uint32_t)file.size)] ^= (uint8_t)(1u << dice(8));
            bool inside = own && round % 8;
            expect_sane((struct sal_span){copy, file.size},
                        inside ? SAL_SANDBOX_OFF : SAL_SANDBOX_BEST, formats[i].name);
            free(copy);
        }
        sal_buffer_release(&file);
    }
}

static void a_bomb_is_refused_by_its_header(void **state)
{
    (void)state;
    struct sal_buffer file = {0};
    struct sal_image image;
    struct sal_error err;
    sal_buffer_format(&file, "P5 40000 40000 255\n0");
    assert_int_equal(sal_image_decode(&image, span_of(&file), "bomb", SAL_SANDBOX_BEST, &err),
                     SAL_BAD_INPUT);
    file.size = 0;
    make_png_grey(&file);
    file.data[16] = 0x00, file.data[17] = 0x01; /* 65536 + ... wide; the CRC is wrong too */
    assert_true(sal_image_decode(&image, span_of(&file), "bomb", SAL_SANDBOX_BEST, &err) !=
                SAL_OK);
    sal_buffer_release(&file);
    char path[512];
    if (!shared_data("jpeg_odd/65536-uint32-limit.png", path, sizeof(path)))
        return;
    assert_int_equal(sal_image_load(&image, path, SAL_SANDBOX_BEST, &err), SAL_BAD_INPUT);
}

static void what_is_no_image_is_told_by_name(void **state)
{
    (void)state;
    char folder[] = "/tmp/saliscope-image-XXXXXX", path[128];
    struct sal_image image;
    struct sal_error err;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sal_image_load(&image, path, SAL_SANDBOX_BEST, &err), SAL_BAD_INPUT);
    unlink(path);
    assert_int_equal(sal_image_load(&image, folder, SAL_SANDBOX_BEST, &err), SAL_BAD_INPUT);
    snprintf(path, sizeof(path), "%s/notes.png", folder);
    assert_int_equal(sal_image_load(&image, path, SAL_SANDBOX_BEST, &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "notes.png"));
    assert_int_equal(sal_file_write(path, "just text", 9, NULL), SAL_OK);
    assert_int_equal(sal_image_load(&image, path, SAL_SANDBOX_BEST, &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "PNG, JPEG"));
    unlink(path);
    rmdir(folder);
}

/* ---- others' files -------------------------------------------------------------------- */

static int for_each_file(const char *relative, void (*look)(const char *path))
{
    char folder[512], path[1024];
    int n = 0;
    if (!shared_data(relative, folder, sizeof(folder)))
        return 0;
    DIR *list = opendir(folder);
    for (struct dirent *entry; (entry = readdir(list));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        look(path);
        n++;
    }
    closedir(list);
    return n;
}

static void load_or_complain(const char *path)
{
    struct sal_image image;
    struct sal_error err = {0};
    enum sal_status status = sal_image_load(&image, path, SAL_SANDBOX_BEST, &err);
    if (status == SAL_OK)
        sal_image_release(&image);
    else if (status != SAL_BAD_INPUT && status != SAL_LIMIT && status != SAL_UNSUPPORTED)
        fail_msg("%s: status %d, %s", path, status, err.text);
}

/* PngSuite's names say what they are: those that begin with x are broken. */
static void load_as_named(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    struct sal_image image;
    struct sal_error err = {0};
    if (!strstr(name, ".png"))
        return;
    enum sal_status status = sal_image_load(&image, path, SAL_SANDBOX_BEST, &err);
    if ((status == SAL_OK) == (name[0] == 'x'))
        fail_msg("%s: %s", name, status ? err.text : "was read though it is broken");
    if (status)
        return;
    int depth = atoi(name + strlen(name) - 6);
    if (strlen(name) == 12 && depth == 16)
        assert_int_equal(image.bits, 16);
    sal_image_release(&image);
}

static void pngsuite_is_read_as_its_names_say(void **state)
{
    (void)state;
    if (!for_each_file("png/pngsuite", load_as_named))
        skip();
}

static void crashers_of_others_do_not_crash(void **state)
{
    (void)state;
    int n = for_each_file("png/libpng_crashers", load_or_complain);
    n += for_each_file("png/bugfixes", load_or_complain);
    n += for_each_file("jpeg_odd", load_or_complain);
    if (!n)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_known_by_its_bytes),
        cmocka_unit_test(png_keeps_every_sample),
        cmocka_unit_test(the_other_formats_keep_theirs),
        cmocka_unit_test(exif_orientation_is_obeyed),
        cmocka_unit_test(truncated_files_give_one_line),
        cmocka_unit_test(flipped_bits_give_one_line),
        cmocka_unit_test(a_bomb_is_refused_by_its_header),
        cmocka_unit_test(what_is_no_image_is_told_by_name),
        cmocka_unit_test(pngsuite_is_read_as_its_names_say),
        cmocka_unit_test(crashers_of_others_do_not_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
