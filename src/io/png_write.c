#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saliscope/buffer.h"
#include "saliscope/image.h"

/* Everything libpng's longjmp passes over lives here, not in locals. */
struct writer {
    png_structp png;
    png_infop info;
    const struct sal_image *image;
    double dpi;
    png_text *texts;
    int n_texts;
    uint8_t *row;
    struct sal_buffer *buffer;
    char reason[128];
};

static void on_error(png_structp png, png_const_charp message)
{
    struct writer *writer = png_get_error_ptr(png);
    snprintf(writer->reason, sizeof(writer->reason), "%s", message);
    png_longjmp(png, 1);
}

/* libpng warns and leaves out a note whose key it does not like; a lost note is
 * a failure here. */
static void on_warning(png_structp png, png_const_charp message)
{
    png_error(png, message);
}

static void write_bytes(png_structp png, png_bytep bytes, size_t size)
{
    struct writer *writer = png_get_io_ptr(png);
    sal_buffer_append(writer->buffer, bytes, size);
}

static void flush_nothing(png_structp png)
{
    (void)png;
}

static int depth_of(const struct sal_image *image)
{
    return image->max <= 255 ? 8 : 16;
}

/* Stored levels onto the full range of the depth. */
static void pack_row(const struct sal_image *image, const uint16_t *samples, uint8_t *row)
{
    size_t count = (size_t)image->width * image->channels;
    uint64_t max = image->max, half = max / 2;
    for (size_t i = 0; i < count; i++) {
        uint64_t sample = samples[i] < max ? samples[i] : max;
        if (max <= 255) {
            row[i] = (uint8_t)((sample * 255 + half) / max);
        } else {
            uint64_t level = (sample * 65535 + half) / max;
            row[2 * i] = (uint8_t)(level >> 8);
            row[2 * i + 1] = (uint8_t)level;
        }
    }
}

static void write_header(struct writer *writer)
{
    static const int colours[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                  PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    const struct sal_image *image = writer->image;
    png_set_IHDR(writer->png, writer->info, (png_uint_32)image->width,
                 (png_uint_32)image->height, depth_of(image), colours[image->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    if (writer->dpi > 0 && writer->dpi < 1e6) {
        png_uint_32 per_metre = (png_uint_32)(writer->dpi / 0.0254 + 0.5);
        png_set_pHYs(writer->png, writer->info, per_metre, per_metre, PNG_RESOLUTION_METER);
    }
    if (writer->n_texts)
        png_set_text(writer->png, writer->info, writer->texts, writer->n_texts);
    png_write_info(writer->png, writer->info);
}

static enum sal_status write_guarded(struct writer *writer, struct sal_error *err)
{
    if (setjmp(png_jmpbuf(writer->png)))
        return sal_fail(err, SAL_OUTPUT, "the PNG cannot be written: %s", writer->reason);
    const struct sal_image *image = writer->image;
    size_t row = (size_t)image->width * image->channels;
    write_header(writer);
    for (int y = 0; y < image->height; y++) {
        pack_row(image, image->samples + y * row, writer->row);
        png_write_row(writer->png, writer->row);
    }
    png_write_end(writer->png, NULL);
    return SAL_OK;
}

static enum sal_status write_with(struct writer *writer, struct sal_error *err)
{
    writer->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, on_error, on_warning);
    if (writer->png)
        writer->info = png_create_info_struct(writer->png);
    if (!writer->info || !writer->row || !writer->texts)
        return sal_fail(err, SAL_LIMIT, "no memory to write a PNG");
    png_set_write_fn(writer->png, writer, write_bytes, flush_nothing);
    enum sal_status status = write_guarded(writer, err);
    if (!status && writer->buffer->failed)
        status = sal_fail(err, SAL_LIMIT, "no memory for the PNG");
    return status;
}

/* libpng's structure asks for char *, but only reads. */
static void fill_texts(png_text *texts, const struct sal_image_note *notes, int n_notes)
{
    for (int i = 0; i < n_notes; i++) {
        texts[i].compression = PNG_ITXT_COMPRESSION_NONE;
        memcpy(&texts[i].key, &notes[i].key, sizeof(texts[i].key));
        memcpy(&texts[i].text, &notes[i].text, sizeof(texts[i].text));
        texts[i].itxt_length = strlen(notes[i].text);
    }
}

enum sal_status sal_image_encode_png(const struct sal_image *image, double dpi,
                                     const struct sal_image_note *notes, int n_notes,
                                     struct sal_buffer *buffer, struct sal_error *err)
{
    struct writer writer = {
        .image = image, .dpi = dpi, .n_texts = n_notes, .buffer = buffer,
        .row = malloc((size_t)image->width * image->channels * 2),
        .texts = calloc((size_t)n_notes + 1, sizeof(png_text)),
    };
    if (writer.texts)
        fill_texts(writer.texts, notes, n_notes);
    enum sal_status status = write_with(&writer, err);
    png_destroy_write_struct(&writer.png, &writer.info);
    free(writer.texts);
    free(writer.row);
    return status;
}
