#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exif.h"
#include "image_sink.h"
#include "saliscope/image.h"

enum { SIGNATURE = 8, IHDR_WIDTH = 16, IHDR_HEIGHT = 20, IHDR_END = 33 };

static const uint8_t signature[SIGNATURE] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

/* Everything libpng's longjmp passes over lives here, not in locals. */
struct reader {
    png_structp png;
    png_infop info;
    struct sal_span bytes;
    size_t at;
    bool ended;
    png_bytep *rows;
    char reason[128];
    struct sal_image_sink *sink;
    struct sal_error *err;
};

static int png_sniff(struct sal_span bytes)
{
    return bytes.size >= SIGNATURE && memcmp(bytes.data, signature, SIGNATURE) == 0;
}

static void on_error(png_structp png, png_const_charp message)
{
    struct reader *reader = png_get_error_ptr(png);
    snprintf(reader->reason, sizeof(reader->reason), "%s", message);
    png_longjmp(png, 1);
}

/* What libpng merely warns of (colour profiles, text) does not touch pixels. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep to, size_t size)
{
    struct reader *reader = png_get_io_ptr(png);
    if (size > reader->bytes.size - reader->at) {
        reader->ended = true;
        png_error(png, "the data end too early");
    }
    memcpy(to, reader->bytes.data + reader->at, size);
    reader->at += size;
}

static void set_limits(png_structp png)
{
    png_set_user_limits(png, SAL_IMAGE_SIDE_MAX, SAL_IMAGE_SIDE_MAX);
    png_set_chunk_cache_max(png, 64);
    png_set_chunk_malloc_max(png, 8000000);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
}

/* Asks for samples as they are stored: no gamma, no profile, no background, grey
 * below 8 bits unscaled. A transparent colour becomes alpha. */
static void set_transforms(png_structp png, png_infop info)
{
    png_byte colour = png_get_color_type(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (png_get_valid(png, info, PNG_INFO_tRNS))
        png_set_tRNS_to_alpha(png);
    if (colour == PNG_COLOR_TYPE_GRAY)
        png_set_packing(png);
    png_set_swap(png); /* 16 bit: to little endian */
    png_set_interlace_handling(png);
}

static int orientation_of(png_structp png, png_infop info)
{
    png_uint_32 size = 0;
    png_bytep data = NULL;
    if (!png_get_eXIf_1(png, info, &size, &data))
        return 1;
    return sal_exif_orientation((struct sal_span){data, size});
}

static struct sal_image_head read_head(png_structp png, png_infop info)
{
    int stored = png_get_bit_depth(png, info);
    bool plain_grey = png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY &&
                      !png_get_valid(png, info, PNG_INFO_tRNS);
    set_transforms(png, info);
    png_read_update_info(png, info);
    int bits = plain_grey ? stored : png_get_bit_depth(png, info);
    return (struct sal_image_head){
        .width = (int32_t)png_get_image_width(png, info),
        .height = (int32_t)png_get_image_height(png, info),
        .channels = png_get_channels(png, info),
        .bits = bits,
        .max = (1U << bits) - 1,
        .orientation = orientation_of(png, info),
    };
}

/* 8-bit rows are read into the start of their 16-bit room and spread there. */
static enum sal_status read_rows(struct reader *reader, const struct sal_image_head *head,
                                 uint16_t *samples)
{
    size_t row = (size_t)head->width * head->channels;
    size_t sample_size = head->bits == 16 ? 2 : 1;
    if (png_get_rowbytes(reader->png, reader->info) != row * sample_size)
        return sal_fail(reader->err, SAL_BAD_INPUT, "corrupt PNG: rows of an odd size");
    reader->rows = calloc((size_t)head->height, sizeof(*reader->rows));
    if (!reader->rows)
        return sal_fail(reader->err, SAL_LIMIT, "no memory for %d rows", head->height);
    for (int y = 0; y < head->height; y++)
        reader->rows[y] = (png_bytep)(samples + y * row);
    png_read_image(reader->png, reader->rows);
    png_read_end(reader->png, NULL);
    for (int y = 0; sample_size == 1 && y < head->height; y++)
        sal_image_widen(samples + y * row, row);
    return SAL_OK;
}

static enum sal_status read_png(struct reader *reader)
{
    set_limits(reader->png);
    png_read_info(reader->png, reader->info);
    struct sal_image_head head = read_head(reader->png, reader->info);
    uint16_t *samples;
    enum sal_status status = sal_image_begin(reader->sink, &head, &samples, reader->err);
    return status ? status : read_rows(reader, &head, samples);
}

static enum sal_status read_guarded(struct reader *reader)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return sal_fail(reader->err, SAL_BAD_INPUT, "%s PNG: %s",
                        reader->ended ? "truncated" : "corrupt", reader->reason);
    return read_png(reader);
}

/* Before libpng sees anything: a few bytes can promise gigapixels. */
static enum sal_status check_declared_size(struct sal_span bytes, struct sal_error *err)
{
    if (bytes.size < IHDR_END)
        return sal_fail(err, SAL_BAD_INPUT, "truncated PNG: the header is incomplete");
    return sal_image_check_size(png_get_uint_32(bytes.data + IHDR_WIDTH),
                                png_get_uint_32(bytes.data + IHDR_HEIGHT), err);
}

static enum sal_status png_decode(struct sal_span bytes, struct sal_image_sink *sink,
                                  struct sal_error *err)
{
    enum sal_status status = check_declared_size(bytes, err);
    if (status)
        return status;
    struct reader reader = {.bytes = bytes, .sink = sink, .err = err};
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    if (reader.png)
        reader.info = png_create_info_struct(reader.png);
    if (reader.info) {
        png_set_read_fn(reader.png, &reader, read_bytes);
        status = read_guarded(&reader);
    } else {
        status = sal_fail(err, SAL_LIMIT, "no memory to read a PNG");
    }
    free(reader.rows);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    return status;
}

const struct sal_image_loader sal_image_png = {
    .name = "PNG",
    .extensions = "png",
    .title = "Portable Network Graphics, 1 to 16 bits",
    .sniff = png_sniff,
    .decode = png_decode,
};
