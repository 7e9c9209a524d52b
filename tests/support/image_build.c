#include "image_build.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <zlib.h>

struct sal_span build_span(const struct sal_buffer *file)
{
    return (struct sal_span){file->data, file->size};
}

static void append_be32(struct sal_buffer *file, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 8), (uint8_t)value};
    sal_buffer_append(file, bytes, sizeof(bytes));
}

static void append_byte(struct sal_buffer *file, int byte)
{
    sal_buffer_append(file, &(uint8_t){(uint8_t)byte}, 1);
}

/* ---- JPEG ---- */

void build_jpeg(struct sal_buffer *file, const uint8_t *samples, int width, int height,
                int components, bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = components;
    jpeg.in_color_space = components == 1   ? JCS_GRAYSCALE
                          : components == 3 ? JCS_RGB
                                            : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    JSAMPLE *row = malloc((size_t)width * components);
    for (int y = 0; y < height; y++) {
        memcpy(row, samples + (size_t)y * width * components, (size_t)width * components);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    sal_buffer_append(file, data, size);
    free(data);
}

void build_jpeg_turned(struct sal_buffer *file, struct sal_span jpeg, int orientation)
{
    uint8_t app1[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
                      0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, (uint8_t)orientation, 0, 0,
                      0, 0, 0, 0};
    sal_buffer_append(file, jpeg.data, 2);
    sal_buffer_append(file, app1, sizeof(app1));
    sal_buffer_append(file, jpeg.data + 2, jpeg.size - 2);
}

/* ---- PNG ---- */

enum { PNG_AFTER_IHDR = 33 };

static void append_chunk(struct sal_buffer *file, const char type[4], struct sal_span data)
{
    append_be32(file, (uint32_t)data.size);
    size_t from = file->size;
    sal_buffer_append(file, type, 4);
    sal_buffer_append(file, data.data, data.size);
    append_be32(file, (uint32_t)crc32_z(0, file->data + from, file->size - from));
}

void build_png(struct sal_buffer *file, const uint16_t *samples, int width, int height,
               int channels, int bits)
{
    struct sal_image image;
    if (sal_image_init(&image, width, height, channels, bits, NULL))
        abort();
    memcpy(image.samples, samples, sizeof(*samples) * width * height * channels);
    if (sal_image_encode_png(&image, 0, NULL, 0, file, NULL))
        abort();
    sal_image_release(&image);
}

void build_png_header(struct sal_buffer *file, uint32_t width, uint32_t height)
{
    sal_buffer_append(file, "\x89PNG\r\n\x1A\n", 8);
    struct sal_buffer ihdr = {0};
    append_be32(&ihdr, width);
    append_be32(&ihdr, height);
    sal_buffer_append(&ihdr, "\x08\x02\0\0\0", 5);
    append_chunk(file, "IHDR", build_span(&ihdr));
    append_chunk(file, "IDAT", (struct sal_span){(const uint8_t *)"x", 1});
    sal_buffer_release(&ihdr);
}

void build_png_chunk(struct sal_buffer *file, struct sal_span png, const char type[4],
                     struct sal_span data)
{
    sal_buffer_append(file, png.data, PNG_AFTER_IHDR);
    append_chunk(file, type, data);
    sal_buffer_append(file, png.data + PNG_AFTER_IHDR, png.size - PNG_AFTER_IHDR);
}

/* ---- BMP and TGA ---- */

void build_bmp(struct sal_buffer *file, const uint8_t *rgb, int width, int height)
{
    int stride = (width * 3 + 3) / 4 * 4, size = 54 + stride * height;
    uint8_t header[54] = {'B', 'M', (uint8_t)size, (uint8_t)(size >> 8), [10] = 54, [14] = 40,
                          [18] = (uint8_t)width, [22] = (uint8_t)height, [26] = 1, [28] = 24};
    sal_buffer_append(file, header, sizeof(header));
    for (int y = height; y-- > 0;)
        for (int i = 0; i < stride; i++) {
            int x = i / 3;
            append_byte(file, x < width ? rgb[(y * width + x) * 3 + 2 - i % 3] : 0);
        }
}

void build_tga(struct sal_buffer *file, const uint8_t *rgb, int width, int height)
{
    uint8_t header[18] = {[2] = 10, [12] = (uint8_t)width, [14] = (uint8_t)height, [16] = 24,
                          [17] = 0x20};
    sal_buffer_append(file, header, sizeof(header));
    for (int i = 0; i < width * height; i++) {
        append_byte(file, i % 2 ? 0x80 : 0x00); /* a run of one, a packet of one */
        for (int c = 3; c-- > 0;)
            append_byte(file, rgb[i * 3 + c]);
    }
}
