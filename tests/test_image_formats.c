/* Images, format by format: what each stores beside plain samples, and the ways in
 * which each can lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data.h"
#include "exif.h"
#include "image_build.h"
#include "saliscope/sha256.h"

static enum sal_status decode(struct sal_image *image, const struct sal_buffer *file,
                              struct sal_error *err)
{
    return sal_image_decode(image, build_span(file), "x.img", SAL_SANDBOX_BEST, err);
}

static void expect_samples(const struct sal_buffer *file, int width, int height, int channels,
                           unsigned max, const uint16_t *samples)
{
    struct sal_image image;
    struct sal_error err = {0};
    if (decode(&image, file, &err))
        fail_msg("%s", err.text);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    assert_int_equal(image.channels, channels);
    assert_int_equal(image.max, max);
    assert_memory_equal(image.samples, samples, sizeof(*samples) * width * height * channels);
    sal_image_release(&image);
}

static void expect_refusal(struct sal_buffer *file, enum sal_status wanted, const char *text)
{
    struct sal_image image;
    struct sal_error err = {0};
    enum sal_status status = decode(&image, file, &err);
    if (status != wanted || !strstr(err.text, text) || strncmp(err.text, "x.img: ", 7) != 0)
        fail_msg("status %d, '%s', not %d with '%s'", status, err.text, wanted, text);
    sal_buffer_release(file);
}

static struct sal_buffer text_file(const char *text, size_t size)
{
    struct sal_buffer file = {0};
    sal_buffer_append(&file, text, size);
    return file;
}

/* ---- PNM ---------------------------------------------------------------------- */

#define BYTES(text) text, sizeof(text) - 1

static void netpbm_variants_keep_their_own_maximum(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        int width, height, channels;
        unsigned max;
        uint16_t samples[8];
    } files[] = {
        {BYTES("P1\n3 2\n101\n0 1 0"), 3, 2, 1, 1, {0, 1, 0, 1, 0, 1}},
        {BYTES("P2 # a\n#b\n2 1 1000 999 0"), 2, 1, 1, 1000, {999, 0}},
        {BYTES("P3 2 1 7\n1 2 3\n4 5 7"), 2, 1, 3, 7, {1, 2, 3, 4, 5, 7}},
        {BYTES("P4 3 2 \xA0\x40"), 3, 2, 1, 1, {0, 1, 0, 1, 0, 1}},
        {BYTES("P5 2 1 1000 \x03\xE7\0\x01"), 2, 1, 1, 1000, {999, 1}},
        {BYTES("P6 1 1 200 \x01\x02\xC8"), 1, 1, 3, 200, {1, 2, 200}},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct sal_buffer file = text_file(files[i].text, files[i].size);
        expect_samples(&file, files[i].width, files[i].height, files[i].channels, files[i].max,
                       files[i].samples);
        sal_buffer_release(&file);
    }
}

static void netpbm_lies_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } files[] = {
        {"P5 2 2 255 abc", "truncated PNM: 3 bytes of samples, not 4"},
        {"P5 2 2 70000 abcd", "the maximum should be"},
        {"P5 2 2 0 abcd", "the maximum should be"},
        {"P5 2 x 255 abcd", "width and height"},
        {"P5 0 2 255 abcd", "no pixels"},
        {"P5 2 2 90 aaaz", "a sample of 97 is over the maximum 90"},
        {"P2 2 2 9 1 2 3", "truncated PNM"},
        {"P2 2 2 9 1 2 3 10", "over the maximum"},
        {"P1 2 1 12", "0 or 1"},
        {"P5 9999999999 2 255 a", "width and height"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct sal_buffer file = text_file(files[i].text, strlen(files[i].text));
        expect_refusal(&file, SAL_BAD_INPUT, files[i].message);
    }
}

/* ---- BMP and TGA ----------------------------------------------------------------- */

static const uint8_t rgb[18] = {200, 30, 20, 0,  255, 1,  9,  8,  7,
                                66,  55, 44, 11, 22,  33, 99, 88, 77};

static void bitmaps_are_turned_upright_and_red_first(void **state)
{
    (void)state;
    uint16_t wide[18];
    for (int i = 0; i < 18; i++)
        wide[i] = rgb[i];
    struct sal_buffer bmp = {0}, tga = {0};
    build_bmp(&bmp, rgb, 3, 2);
    build_tga(&tga, rgb, 3, 2);
    expect_samples(&bmp, 3, 2, 3, 255, wide);
    expect_samples(&tga, 3, 2, 3, 255, wide);
    bmp.size--;
    tga.size--; /* inside the last packet: nothing in the header tells */
    expect_refusal(&bmp, SAL_BAD_INPUT, "truncated BMP");
    expect_refusal(&tga, SAL_BAD_INPUT, "truncated TGA");
}

/* ---- JPEG ------------------------------------------------------------------------ */

static void expect_colour(const struct sal_buffer *file, int channels, const uint8_t *colour)
{
    struct sal_image image;
    struct sal_error err = {0};
    if (decode(&image, file, &err))
        fail_msg("%s", err.text);
    assert_int_equal(image.channels, channels);
    for (int i = 0; i < image.width * image.height * channels; i++)
        assert_true(abs(image.samples[i] - colour[i % channels]) <= 2);
    sal_image_release(&image);
}

static void jpeg_colours_come_out_as_they_went_in(void **state)
{
    (void)state;
    uint8_t pixels[5 * 7 * 4];
    for (int progressive = 0; progressive < 2; progressive++) {
        struct sal_buffer grey = {0}, colour = {0}, ink = {0};
        memset(pixels, 77, sizeof(pixels));
        build_jpeg(&grey, pixels, 5, 7, 1, progressive);
        expect_colour(&grey, 1, (uint8_t[]){77});
        for (int i = 0; i < 35; i++)
            memcpy(pixels + 3 * i, (uint8_t[]){200, 30, 20}, 3);
        build_jpeg(&colour, pixels, 5, 7, 3, progressive);
        expect_colour(&colour, 3, (uint8_t[]){200, 30, 20});
        /* Full is 0: no cyan, half magenta, all yellow, a fifth black. */
        for (int i = 0; i < 35; i++)
            memcpy(pixels + 4 * i, (uint8_t[]){255, 128, 0, 204}, 4);
        build_jpeg(&ink, pixels, 5, 7, 4, progressive);
        expect_colour(&ink, 3, (uint8_t[]){204, 102, 0});
        sal_buffer_release(&grey);
        sal_buffer_release(&colour);
        sal_buffer_release(&ink);
    }
}

static void a_cut_jpeg_is_called_truncated(void **state)
{
    (void)state;
    uint8_t pixels[32 * 32];
    for (int i = 0; i < 32 * 32; i++)
        pixels[i] = (uint8_t)(i * 37);
    for (int progressive = 0; progressive < 2; progressive++) {
        struct sal_buffer file = {0};
        build_jpeg(&file, pixels, 32, 32, 1, progressive);
        file.size -= 40;
        expect_refusal(&file, SAL_BAD_INPUT, "truncated JPEG");
    }
}

static size_t find(const struct sal_buffer *file, uint8_t marker)
{
    size_t found = 0;
    for (size_t i = 0; i + 1 < file->size; i++)
        if (file->data[i] == 0xFF && file->data[i + 1] == marker)
            found = i;
    assert_int_not_equal(found, 0);
    return found;
}

static void a_jpeg_that_promises_gigapixels_is_refused(void **state)
{
    (void)state;
    for (int side = 0xFFDC; side <= 0xFFFF; side += 35) { /* 65500 is libjpeg's limit */
        struct sal_buffer file = {0};
        build_jpeg(&file, (const uint8_t[64]){0}, 8, 8, 1, false);
        size_t frame = find(&file, 0xC0);
        for (int i = 5; i < 9; i += 2) {
            file.data[frame + i] = (uint8_t)(side >> 8);
            file.data[frame + i + 1] = (uint8_t)side;
        }
        expect_refusal(&file, SAL_BAD_INPUT, side > 65500 ? "too large" : "65500 x 65500");
    }
}

static void a_jpeg_of_endless_scans_is_refused(void **state)
{
    (void)state;
    struct sal_buffer file = {0}, bomb = {0};
    build_jpeg(&file, (const uint8_t[64]){0, 90, 7}, 8, 8, 1, true);
    size_t last = find(&file, 0xDA), end = find(&file, 0xD9);
    sal_buffer_append(&bomb, file.data, last);
    for (int i = 0; i < 600; i++)
        sal_buffer_append(&bomb, file.data + last, end - last);
    sal_buffer_append(&bomb, file.data + end, file.size - end);
    expect_refusal(&bomb, SAL_BAD_INPUT, "scans");
    sal_buffer_release(&file);
}

/* ---- EXIF ------------------------------------------------------------------------- */

/* 2 x 3, numbered as stored, and as seen. */
static const uint16_t turned[9][6] = {
    [1] = {1, 2, 3, 4, 5, 6}, [2] = {2, 1, 4, 3, 6, 5}, [3] = {6, 5, 4, 3, 2, 1},
    [4] = {5, 6, 3, 4, 1, 2}, [5] = {1, 3, 5, 2, 4, 6}, [6] = {5, 3, 1, 6, 4, 2},
    [7] = {6, 4, 2, 5, 3, 1}, [8] = {2, 4, 6, 1, 3, 5},
};

static void every_orientation_is_undone(void **state)
{
    (void)state;
    for (int i = 1; i <= 8; i++) {
        struct sal_buffer png = {0}, file = {0};
        build_png(&png, turned[1], 2, 3, 1, 8);
        uint8_t exif[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3,
                          0,   0,   0, 1,  0, (uint8_t)i, 0, 0, 0, 0, 0, 0};
        build_png_chunk(&file, build_span(&png), "eXIf",
                        (struct sal_span){exif, sizeof(exif)});
        expect_samples(&file, i > 4 ? 3 : 2, i > 4 ? 2 : 3, 1, 255, turned[i]);
        sal_buffer_release(&png);
        sal_buffer_release(&file);
    }
}

static void a_jpeg_is_turned_like_a_png(void **state)
{
    (void)state;
    struct sal_buffer jpeg = {0}, file = {0};
    struct sal_image image;
    build_jpeg(&jpeg, (const uint8_t[6]){0}, 2, 3, 1, false);
    build_jpeg_turned(&file, build_span(&jpeg), 6);
    assert_int_equal(decode(&image, &file, NULL), SAL_OK);
    assert_int_equal(image.orientation, 6);
    assert_int_equal(image.width, 3);
    sal_image_release(&image);
    sal_buffer_release(&jpeg);
    sal_buffer_release(&file);
}

static void malformed_exif_means_upright(void **state)
{
    (void)state;
    static const uint8_t sound[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3,
                                      0,   1,   0,  0, 0, 7, 0, 0, 0, 0, 0,    0,    0};
    uint8_t bytes[26];
    assert_int_equal(sal_exif_orientation((struct sal_span){sound, 26}), 7);
    for (size_t size = 0; size < 20; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, sound, size);
        assert_int_equal(sal_exif_orientation((struct sal_span){cut, size}), 1);
        free(cut);
    }
    for (int bit = 0; bit < 26 * 8; bit++) {
        memcpy(bytes, sound, 26);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int orientation = sal_exif_orientation((struct sal_span){bytes, 26});
        assert_true(orientation >= 1 && orientation <= 8);
    }
    memcpy(bytes, sound, 26);
    memset(bytes + 4, 0xFF, 4); /* a directory far outside */
    assert_int_equal(sal_exif_orientation((struct sal_span){bytes, 26}), 1);
}

/* ---- PNG -------------------------------------------------------------------------- */

static void a_png_that_promises_gigapixels_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height;
        const char *message;
    } headers[] = {
        {65536, 65536, "65536 x 65536"}, {32769, 1, "32769 x 1"},
        {20000, 20000, "100 million"},   {0xFFFFFFFF, 1, "4294967295 x 1"},
        {0, 7, "no pixels"},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct sal_buffer file = {0};
        build_png_header(&file, headers[i].width, headers[i].height);
        expect_refusal(&file, SAL_BAD_INPUT, headers[i].message);
    }
}

static void a_transparent_colour_becomes_alpha(void **state)
{
    (void)state;
    struct sal_buffer png = {0}, file = {0};
    build_png(&png, (uint16_t[]){7, 8, 9, 7}, 2, 2, 1, 8);
    build_png_chunk(&file, build_span(&png), "tRNS", (struct sal_span){(uint8_t[]){0, 7}, 2});
    expect_samples(&file, 2, 2, 2, 255, (uint16_t[]){7, 0, 8, 255, 9, 255, 7, 0});
    sal_buffer_release(&png);
    sal_buffer_release(&file);
}

static void notes_and_resolution_are_stored_in_a_png(void **state)
{
    (void)state;
    struct sal_image image;
    struct sal_buffer file = {0};
    struct sal_error err = {0};
    assert_int_equal(sal_image_init(&image, 2, 2, 1, 8, NULL), SAL_OK);
    const struct sal_image_note notes[] = {{"Description", "na\xC3\xAFve map"},
                                           {"Software", "saliscope"}};
    assert_int_equal(sal_image_encode_png(&image, 300, notes, 2, &file, &err), SAL_OK);
    static const char text[] = "iTXtDescription\0\0\0\0\0na\xC3\xAFve";
    static const uint8_t dots[] = {'p', 'H', 'Y', 's', 0, 0, 0x2E, 0x23, 0, 0, 0x2E, 0x23, 1};
    assert_non_null(memmem(file.data, file.size, text, sizeof(text) - 1));
    assert_non_null(memmem(file.data, file.size, dots, sizeof(dots)));
    expect_samples(&file, 2, 2, 1, 255, (uint16_t[4]){0});
    const struct sal_image_note nameless = {"", "x"};
    assert_int_equal(sal_image_encode_png(&image, 0, &nameless, 1, &file, &err), SAL_OUTPUT);
    sal_image_release(&image);
    sal_buffer_release(&file);
}

/* ---- against another decoder --------------------------------------------------------- */

/* As Pillow's convert("RGB") does it: orientation not obeyed, alpha dropped. */
static void hash_as_rgb(const struct sal_image *image, char hex[65])
{
    static const int back[9] = {0, 1, 2, 3, 4, 5, 8, 7, 6};
    size_t pixels = (size_t)image->width * image->height;
    int n = image->channels;
    uint16_t *stored = malloc(pixels * n * sizeof(*stored));
    sal_exif_undo(back[image->orientation], image->samples, image->width, image->height, n,
                  image->max, stored);
    uint8_t *bytes = malloc(pixels * 3);
    for (size_t i = 0; i < pixels * 3; i++)
        bytes[i] = (uint8_t)(stored[i / 3 * n + (n < 3 ? 0 : i % 3)] * 255 / image->max);
    sal_sha256_hex(bytes, pixels * 3, hex);
    free(stored);
    free(bytes);
}

/* Where we and Pillow differ on purpose. */
static const char *const exceptions[] = {
    "png/libpng_crashers/huge_IDAT.png",      /* cut off in its last chunk */
    "png/bugfixes/invalid_palette_index.png", /* no colour is the right one */
    "png/pngsuite/xcsn0g01.png",              /* wrong checksum of the data */
    "png/bugfixes/cicp_pq.png",               /* broken chunks that do not matter */
};

static bool left_out(const char *file)
{
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
        if (strcmp(file, exceptions[i]) == 0)
            return true;
    /* The header row, and many megapixels of the same kind. */
    return strcmp(file, "file") == 0 || strncmp(file, "cxr/nih/", 8) == 0;
}

/* One line: file,...,pil verdict,mode,hash,... Returns whether it was compared. */
static bool compare_row(char *line)
{
    char *fields[15] = {line};
    for (int i = 1; i < 15; i++) {
        char *comma = strchr(fields[i - 1], ',');
        if (!comma)
            return false;
        *comma = '\0';
        fields[i] = comma + 1;
    }
    fields[14][strcspn(fields[14], ",\n")] = '\0';
    bool readable = strcmp(fields[12], "ok") == 0;
    char path[4096], hex[65];
    if (left_out(fields[0]) || !shared_data(fields[0], path, sizeof(path)))
        return false;
    struct sal_image image;
    struct sal_error err = {0};
    enum sal_status status = sal_image_load(&image, path, SAL_SANDBOX_BEST, &err);
    if ((status == SAL_OK) != readable)
        fail_msg("%s: %s; the other decoder says '%s'", fields[0], status ? err.text : "read",
                 fields[12]);
    if (status)
        return true;
    hash_as_rgb(&image, hex);
    if (strlen(fields[14]) == 64 && strcmp(hex, fields[14]) != 0)
        fail_msg("%s: other pixels than the other decoder's", fields[0]);
    sal_image_release(&image);
    return true;
}

static void pixels_are_those_of_another_decoder(void **state)
{
    (void)state;
    char path[4096], line[4096];
    int compared = 0;
    if (!shared_data("refs/image_reference.csv", path, sizeof(path)))
        skip();
    FILE *table = fopen(path, "r");
    assert_non_null(table);
    while (fgets(line, sizeof(line), table))
        compared += compare_row(line);
    fclose(table);
    print_message("%d files compared\n", compared);
    assert_true(compared > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(netpbm_variants_keep_their_own_maximum),
        cmocka_unit_test(netpbm_lies_are_told),
        cmocka_unit_test(bitmaps_are_turned_upright_and_red_first),
        cmocka_unit_test(jpeg_colours_come_out_as_they_went_in),
        cmocka_unit_test(a_cut_jpeg_is_called_truncated),
        cmocka_unit_test(a_jpeg_that_promises_gigapixels_is_refused),
        cmocka_unit_test(a_jpeg_of_endless_scans_is_refused),
        cmocka_unit_test(every_orientation_is_undone),
        cmocka_unit_test(a_jpeg_is_turned_like_a_png),
        cmocka_unit_test(malformed_exif_means_upright),
        cmocka_unit_test(a_png_that_promises_gigapixels_is_refused),
        cmocka_unit_test(a_transparent_colour_becomes_alpha),
        cmocka_unit_test(notes_and_resolution_are_stored_in_a_png),
        cmocka_unit_test(pixels_are_those_of_another_decoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
