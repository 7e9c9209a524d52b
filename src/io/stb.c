#include <stdbool.h>
#include <string.h>

#include "image_sink.h"
#include "saliscope/image.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_SIMD
#define STBI_MAX_DIMENSIONS 32768
#define STBI_ASSERT(x) ((x) ? (void)0 : __builtin_trap())
/* Of stb_image's functions only two are used; gcc says so at the end of the file. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>

_Static_assert(STBI_MAX_DIMENSIONS == SAL_IMAGE_SIDE_MAX, "stb's limit is ours");

/* stb_image takes zeros for what lies beyond the end of the data, so the end is
 * watched from outside. */
struct stream {
    struct sal_span bytes;
    size_t at;
    bool ended;
};

static int stream_read(void *user, char *to, int size)
{
    struct stream *stream = user;
    size_t left = stream->bytes.size - stream->at;
    size_t count = (size_t)size < left ? (size_t)size : left;
    stream->ended |= size > 0 && !count;
    memcpy(to, stream->bytes.data + stream->at, count);
    stream->at += count;
    return (int)count;
}

static void stream_skip(void *user, int size)
{
    struct stream *stream = user;
    size_t left = stream->bytes.size - stream->at;
    if (size > 0)
        stream->at += (size_t)size < left ? (size_t)size : left;
}

static int stream_eof(void *user)
{
    const struct stream *stream = user;
    return stream->at >= stream->bytes.size;
}

static const stbi_io_callbacks callbacks = {stream_read, stream_skip, stream_eof};

static uint32_t le(struct sal_span bytes, size_t at, size_t size)
{
    uint32_t value = 0;
    for (size_t i = size; i-- > 0 && at + i < bytes.size;)
        value = value << 8 | bytes.data[at + i];
    return value;
}

/* Decodes what the caller has found to be sound so far. */
static enum sal_status decode(struct sal_span bytes, const struct sal_image_head *head,
                              struct sal_image_sink *sink, const char *format,
                              struct sal_error *err)
{
    uint16_t *samples;
    enum sal_status status = sal_image_begin(sink, head, &samples, err);
    if (status)
        return status;
    struct stream stream = {.bytes = bytes};
    int width, height, channels;
    stbi_uc *pixels = stbi_load_from_callbacks(&callbacks, &stream, &width, &height,
                                               &channels, head->channels);
    if (!pixels)
        return sal_fail(err, SAL_BAD_INPUT, "corrupt %s: %s", format, stbi_failure_reason());
    if (stream.ended)
        status = sal_fail(err, SAL_BAD_INPUT, "truncated %s: the data end too early", format);
    else if (width != head->width || height != head->height)
        status = sal_fail(err, SAL_BAD_INPUT, "corrupt %s: its size changes", format);
    size_t count = (size_t)head->width * head->height * head->channels;
    for (size_t i = 0; !status && i < count; i++)
        samples[i] = pixels[i];
    stbi_image_free(pixels);
    return status;
}

/* ---- BMP ---------------------------------------------------------------- */

static int bmp_sniff(struct sal_span bytes)
{
    uint32_t header = le(bytes, 14, 4);
    return bytes.size >= 26 && bytes.data[0] == 'B' && bytes.data[1] == 'M' &&
           header >= 12 && header <= 124;
}

struct bmp {
    uint32_t offset, header, bits, compression;
    uint64_t width, height;
};

static struct bmp bmp_read(struct sal_span bytes)
{
    bool core = le(bytes, 14, 4) == 12;
    int64_t height = core ? (int64_t)le(bytes, 20, 2) : (int32_t)le(bytes, 22, 4);
    return (struct bmp){
        .offset = le(bytes, 10, 4),
        .header = le(bytes, 14, 4),
        .width = le(bytes, 18, core ? 2 : 4),
        .height = (uint64_t)(height < 0 ? -height : height),
        .bits = le(bytes, core ? 24 : 28, 2),
        .compression = core ? 0 : le(bytes, 30, 4),
    };
}

static enum sal_status bmp_check(const struct bmp *bmp, struct sal_span bytes,
                                 struct sal_error *err)
{
    enum sal_status status = sal_image_check_size(bmp->width, bmp->height, err);
    if (status)
        return status;
    if (bmp->compression != 0 && bmp->compression != 3)
        return sal_fail(err, SAL_UNSUPPORTED, "compressed BMP (plain ones are read)");
    if (!strchr("\1\4\10\20\30\40", (int)bmp->bits) || !bmp->bits || bmp->bits > 32)
        return sal_fail(err, SAL_BAD_INPUT, "corrupt BMP: %u bits a pixel", bmp->bits);
    if (bmp->offset < 14 + bmp->header || bmp->offset > INT32_MAX)
        return sal_fail(err, SAL_BAD_INPUT, "corrupt BMP: pixels inside the header");
    uint64_t stride = (bmp->width * bmp->bits + 31) / 32 * 4;
    if (bmp->offset + stride * bmp->height > bytes.size)
        return sal_fail(err, SAL_BAD_INPUT, "truncated BMP: %zu bytes, not %llu", bytes.size,
                        (unsigned long long)(bmp->offset + stride * bmp->height));
    return SAL_OK;
}

static enum sal_status bmp_decode(struct sal_span bytes, struct sal_image_sink *sink,
                                  struct sal_error *err)
{
    struct bmp bmp = bmp_read(bytes);
    enum sal_status status = bmp_check(&bmp, bytes, err);
    if (status)
        return status;
    /* The fourth byte means alpha only where a mask says so. */
    bool alpha = bmp.compression == 3 && bmp.header >= 56 && le(bytes, 66, 4);
    struct sal_image_head head = {(int32_t)bmp.width, (int32_t)bmp.height, alpha ? 4 : 3, 8,
                                  255, 1};
    return decode(bytes, &head, sink, "BMP", err);
}

const struct sal_image_loader sal_image_bmp = {
    .name = "BMP",
    .extensions = "bmp,dib",
    .title = "Windows bitmap, uncompressed",
    .sniff = bmp_sniff,
    .decode = bmp_decode,
};

/* ---- TGA ---------------------------------------------------------------- */

enum { TGA_HEADER = 18, TGA_RLE = 8 };

/* Image types without their run-length bit: what else the header must say. */
static const struct tga_type {
    int type, map, channels;
    const char *bits;
} tga_types[] = {
    {1, 1, 0, "\10\20"},          /* palette */
    {2, 0, 3, "\17\20\30\40"},    /* colour */
    {3, 0, 1, "\10"},             /* grey */
};

static const struct tga_type *tga_type_of(struct sal_span bytes)
{
    for (size_t i = 0; i < sizeof(tga_types) / sizeof(tga_types[0]); i++)
        if ((bytes.data[2] & ~TGA_RLE) == tga_types[i].type &&
            bytes.data[1] == tga_types[i].map && bytes.data[16] &&
            strchr(tga_types[i].bits, bytes.data[16]))
            return &tga_types[i];
    return NULL;
}

static int tga_sniff(struct sal_span bytes)
{
    if (bytes.size <= TGA_HEADER || !tga_type_of(bytes))
        return 0;
    bool palette = bytes.data[1];
    uint32_t entries = le(bytes, 5, 2), entry = bytes.data[7];
    return le(bytes, 12, 2) && le(bytes, 14, 2) && !(bytes.data[17] & 0xC0) &&
           (palette ? entries && entry && strchr("\17\20\30\40", (int)entry)
                    : !le(bytes, 3, 2) && !entries && !entry);
}

static enum sal_status tga_check(struct sal_span bytes, struct sal_error *err)
{
    uint64_t width = le(bytes, 12, 2), height = le(bytes, 14, 2);
    enum sal_status status = sal_image_check_size(width, height, err);
    if (status)
        return status;
    uint64_t palette = le(bytes, 5, 2) * ((bytes.data[7] + 7ULL) / 8);
    uint64_t pixels = width * height * ((bytes.data[16] + 7ULL) / 8);
    uint64_t size = TGA_HEADER + bytes.data[0] + palette;
    if (!(bytes.data[2] & TGA_RLE))
        size += pixels;
    if (size > bytes.size)
        return sal_fail(err, SAL_BAD_INPUT, "truncated TGA: %zu bytes, not %llu", bytes.size,
                        (unsigned long long)size);
    return SAL_OK;
}

static enum sal_status tga_decode(struct sal_span bytes, struct sal_image_sink *sink,
                                  struct sal_error *err)
{
    enum sal_status status = tga_check(bytes, err);
    if (status)
        return status;
    const struct tga_type *type = tga_type_of(bytes);
    int depth = type->map ? bytes.data[7] : bytes.data[16];
    bool alpha = depth == 32 && (bytes.data[17] & 15);
    struct sal_image_head head = {
        .width = (int32_t)le(bytes, 12, 2), .height = (int32_t)le(bytes, 14, 2),
        .channels = type->channels == 1 ? 1 : alpha ? 4 : 3,
        .bits = 8, .max = 255, .orientation = 1,
    };
    return decode(bytes, &head, sink, "TGA", err);
}

const struct sal_image_loader sal_image_tga = {
    .name = "TGA",
    .extensions = "tga,icb,vda,vst",
    .title = "Truevision Targa",
    .sniff = tga_sniff,
    .decode = tga_decode,
};
