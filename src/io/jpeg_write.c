/* What JPEG makes of an image: written and read back, both in memory. */
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* jpeglib.h needs size_t and FILE declared before it. */
#include <jpeglib.h>

#include "saliscope/image.h"

/* Everything libjpeg's longjmp passes over lives here, not in locals. */
struct trip {
    struct jpeg_compress_struct out;
    struct jpeg_decompress_struct in;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    unsigned char *bytes;
    unsigned long size;
    struct sal_error *err;
};

static void on_error(j_common_ptr jpeg)
{
    struct trip *trip = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    sal_fail(trip->err, SAL_LIMIT, "JPEG: %s", text);
    longjmp(trip->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    (void)jpeg;
    (void)level;
}

static void compress(struct trip *trip, uint8_t *samples, int width, int height, int channels,
                     int quality)
{
    struct jpeg_compress_struct *jpeg = &trip->out;
    jpeg_create_compress(jpeg);
    jpeg_mem_dest(jpeg, &trip->bytes, &trip->size);
    jpeg->image_width = (JDIMENSION)width;
    jpeg->image_height = (JDIMENSION)height;
    jpeg->input_components = channels;
    jpeg->in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg_start_compress(jpeg, TRUE);
    const size_t stride = (size_t)width * (size_t)channels;
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = samples + stride * jpeg->next_scanline;
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

static void expand(struct trip *trip, uint8_t *samples, int width, int channels)
{
    struct jpeg_decompress_struct *jpeg = &trip->in;
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, trip->bytes, trip->size);
    jpeg_read_header(jpeg, TRUE);
    jpeg->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(jpeg);
    const size_t stride = (size_t)width * (size_t)channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = samples + stride * jpeg->output_scanline;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
}

static enum sal_status guarded(struct trip *trip, uint8_t *samples, int width, int height,
                               int channels, int quality)
{
    if (setjmp(trip->jump))
        return SAL_LIMIT;
    compress(trip, samples, width, height, channels, quality);
    expand(trip, samples, width, channels);
    return SAL_OK;
}

enum sal_status sal_image_through_jpeg(uint8_t *samples, int width, int height, int channels,
                                       int quality, struct sal_error *err)
{
    struct trip trip = {.err = err};
    if (width < 1 || height < 1 || width > SAL_IMAGE_SIDE_MAX || height > SAL_IMAGE_SIDE_MAX ||
        (int64_t)width * height > SAL_IMAGE_PIXELS_MAX)
        return sal_fail(err, SAL_LIMIT, "an image of %d x %d is too large for JPEG", width, height);
    if ((channels != 1 && channels != 3) || quality < 1 || quality > 100)
        return sal_fail(err, SAL_USAGE, "JPEG has 1 or 3 channels, not %d, and a quality from 1 "
                        "to 100, not %d", channels, quality);
    trip.out.err = trip.in.err = jpeg_std_error(&trip.errors);
    trip.out.client_data = trip.in.client_data = &trip;
    trip.errors.error_exit = on_error;
    trip.errors.emit_message = on_message;
    enum sal_status status = guarded(&trip, samples, width, height, channels, quality);
    jpeg_destroy_compress(&trip.out);
    jpeg_destroy_decompress(&trip.in);
    free(trip.bytes);
    return status;
}
