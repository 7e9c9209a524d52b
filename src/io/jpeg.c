#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* jpeglib.h needs size_t and FILE declared before it. */
#include <jpeglib.h>

#include <jerror.h>

#include "exif.h"
#include "image_sink.h"
#include "saliscope/image.h"

enum {
    SCANS_MAX = 500, /* real files have about ten; each may touch every pixel */
    MARKER_MAX = 0xFFFF,
};

/* Everything libjpeg's longjmp passes over lives here, not in locals. */
struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    enum sal_status status;
    struct sal_image_sink *sink;
    struct sal_error *err;
};

/* Errors that are not simply a corrupt file. */
static const struct {
    int code;
    enum sal_status status;
    const char *what;
} special_errors[] = {
    {JERR_IMAGE_TOO_BIG, SAL_BAD_INPUT, "too large a JPEG"},
    {JERR_OUT_OF_MEMORY, SAL_LIMIT, "JPEG"},
    {JERR_NO_BACKING_STORE, SAL_LIMIT, "JPEG that needs too much memory"},
    {JERR_BAD_PRECISION, SAL_UNSUPPORTED, "JPEG (8 bits a sample are read)"},
    {JERR_SOF_UNSUPPORTED, SAL_UNSUPPORTED, "lossless or hierarchical JPEG"},
    {JERR_INPUT_EOF, SAL_BAD_INPUT, "truncated JPEG"},
    {JWRN_JPEG_EOF, SAL_BAD_INPUT, "truncated JPEG"},
    {JWRN_HIT_MARKER, SAL_BAD_INPUT, "truncated or corrupt JPEG"},
};

/* Warnings after which libjpeg invents pixels. */
static const int fatal_warnings[] = {
    JWRN_JPEG_EOF, JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE, JWRN_MUST_RESYNC, JWRN_ARITH_BAD_CODE,
};

static int jpeg_sniff(struct sal_span bytes)
{
    return bytes.size >= 3 && memcmp(bytes.data, "\xFF\xD8\xFF", 3) == 0;
}

static void on_error(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    enum sal_status status = SAL_BAD_INPUT;
    const char *what = "corrupt JPEG";
    for (size_t i = 0; i < sizeof(special_errors) / sizeof(special_errors[0]); i++)
        if (special_errors[i].code == jpeg->err->msg_code) {
            status = special_errors[i].status;
            what = special_errors[i].what;
        }
    reader->status = sal_fail(reader->err, status, "%s: %s", what, text);
    longjmp(reader->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level >= 0)
        return;
    for (size_t i = 0; i < sizeof(fatal_warnings) / sizeof(fatal_warnings[0]); i++)
        if (fatal_warnings[i] == jpeg->err->msg_code)
            on_error(jpeg);
}

/* A progressive file of many empty scans is a bomb in time. */
static void on_progress(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;
    if (reader->jpeg.input_scan_number <= SCANS_MAX)
        return;
    reader->status = sal_fail(reader->err, SAL_BAD_INPUT, "JPEG of more than %d scans", SCANS_MAX);
    longjmp(reader->jump, 1);
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    static const char tag[6] = "Exif\0";
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next)
        if (marker->marker == JPEG_APP0 + 1 && marker->data_length > sizeof(tag) &&
            memcmp(marker->data, tag, sizeof(tag)) == 0)
            return sal_exif_orientation((struct sal_span){
                marker->data + sizeof(tag), marker->data_length - sizeof(tag)});
    return 1;
}

/* What libjpeg converts to, and how many channels we make of it. */
static enum sal_status choose_colours(struct jpeg_decompress_struct *jpeg, int *channels,
                                      struct sal_error *err)
{
    static const struct {
        J_COLOR_SPACE from, to;
        int channels;
    } rows[] = {
        {JCS_GRAYSCALE, JCS_GRAYSCALE, 1}, {JCS_YCbCr, JCS_RGB, 3}, {JCS_RGB, JCS_RGB, 3},
        {JCS_CMYK, JCS_CMYK, 3},           {JCS_YCCK, JCS_CMYK, 3},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].from == jpeg->jpeg_color_space) {
            jpeg->out_color_space = rows[i].to;
            *channels = rows[i].channels;
            return SAL_OK;
        }
    return sal_fail(err, SAL_UNSUPPORTED,
                    "JPEG of %d components (grey, YCbCr, RGB, CMYK and YCCK are read)",
                    jpeg->num_components);
}

static unsigned product(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Ink is stored inverted, as Adobe does and every reader assumes. From the end,
 * because the row of bytes lies where the samples go. */
static void ink_to_rgb(uint16_t *row, size_t width)
{
    const uint8_t *bytes = (const uint8_t *)row;
    for (size_t i = width; i-- > 0;) {
        unsigned ink[4] = {bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]};
        for (int c = 0; c < 3; c++)
            row[3 * i + c] = (uint16_t)(ink[3] - product(255 - ink[c], ink[3]));
    }
}

static void read_rows(struct jpeg_decompress_struct *jpeg, int channels, uint16_t *samples)
{
    size_t width = jpeg->output_width;
    while (jpeg->output_scanline < jpeg->output_height) {
        uint16_t *row = samples + jpeg->output_scanline * width * channels;
        JSAMPROW bytes = (JSAMPROW)row;
        jpeg_read_scanlines(jpeg, &bytes, 1);
        if (jpeg->out_color_space == JCS_CMYK)
            ink_to_rgb(row, width);
        else
            sal_image_widen(row, width * channels);
    }
}

static void begin_reading(struct reader *reader, struct sal_span bytes)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &reader->progress;
    jpeg->mem->max_memory_to_use = 1L << 30;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, MARKER_MAX);
    jpeg_mem_src(jpeg, bytes.data, bytes.size);
    jpeg_read_header(jpeg, TRUE);
}

static enum sal_status read_jpeg(struct reader *reader, struct sal_span bytes)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    begin_reading(reader, bytes);
    struct sal_image_head head = {
        .width = (int32_t)jpeg->image_width, .height = (int32_t)jpeg->image_height,
        .bits = 8, .max = 255, .orientation = orientation_of(jpeg),
    };
    uint16_t *samples;
    enum sal_status status = choose_colours(jpeg, &head.channels, reader->err);
    if (!status)
        status = sal_image_begin(reader->sink, &head, &samples, reader->err);
    if (status)
        return status;
    jpeg_start_decompress(jpeg);
    if ((int)jpeg->output_width != head.width || (int)jpeg->output_height != head.height)
        return sal_fail(reader->err, SAL_BAD_INPUT, "corrupt JPEG: its size changes");
    read_rows(jpeg, head.channels, samples);
    jpeg_finish_decompress(jpeg);
    return SAL_OK;
}

static enum sal_status read_guarded(struct reader *reader, struct sal_span bytes)
{
    if (setjmp(reader->jump))
        return reader->status;
    return read_jpeg(reader, bytes);
}

static enum sal_status jpeg_decode(struct sal_span bytes, struct sal_image_sink *sink,
                                   struct sal_error *err)
{
    struct reader reader = {.sink = sink, .err = err};
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.jpeg.client_data = &reader;
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.progress.progress_monitor = on_progress;
    enum sal_status status = read_guarded(&reader, bytes);
    jpeg_destroy_decompress(&reader.jpeg);
    return status;
}

const struct sal_image_loader sal_image_jpeg = {
    .name = "JPEG",
    .extensions = "jpg,jpeg,jpe,jfif",
    .title = "JPEG, 8 bits: grey, colour, CMYK",
    .sniff = jpeg_sniff,
    .decode = jpeg_decode,
};
