#include <ctype.h>
#include <stdbool.h>

#include "image_sink.h"
#include "saliscope/image.h"

/* stb_image reads PNM too, but takes neither the maximum of the header nor the
 * end of the file seriously. */

static const struct variant {
    bool ascii, bitmap;
    int channels;
} variants[] = {
    ['1'] = {true, true, 1},  ['2'] = {true, false, 1},  ['3'] = {true, false, 3},
    ['4'] = {false, true, 1}, ['5'] = {false, false, 1}, ['6'] = {false, false, 3},
};

struct scanner {
    struct sal_span bytes;
    size_t at;
};

static int pnm_sniff(struct sal_span bytes)
{
    return bytes.size >= 3 && bytes.data[0] == 'P' && bytes.data[1] >= '1' &&
           bytes.data[1] <= '6' && (isspace(bytes.data[2]) || bytes.data[2] == '#');
}

static int peek(const struct scanner *scanner)
{
    return scanner->at < scanner->bytes.size ? scanner->bytes.data[scanner->at] : -1;
}

static void skip_space(struct scanner *scanner)
{
    while (peek(scanner) == '#' || (peek(scanner) >= 0 && isspace(peek(scanner))))
        if (peek(scanner) == '#')
            while (peek(scanner) >= 0 && peek(scanner) != '\n')
                scanner->at++;
        else
            scanner->at++;
}

/* Digits up to limit; false where there are none or they go beyond. */
static bool read_number(struct scanner *scanner, unsigned limit, unsigned *value)
{
    skip_space(scanner);
    if (peek(scanner) < '0' || peek(scanner) > '9')
        return false;
    *value = 0;
    while (peek(scanner) >= '0' && peek(scanner) <= '9') {
        *value = *value * 10 + (unsigned)(peek(scanner) - '0');
        if (*value > limit)
            return false;
        scanner->at++;
    }
    return true;
}

static enum sal_status bad(struct scanner *scanner, struct sal_error *err, const char *what)
{
    return sal_fail(err, SAL_BAD_INPUT, "%s PNM: %s",
                    peek(scanner) < 0 ? "truncated" : "corrupt", what);
}

static enum sal_status read_header(struct scanner *scanner, const struct variant *variant,
                                   struct sal_image_head *head, struct sal_error *err)
{
    unsigned width, height, max = 1;
    if (!read_number(scanner, 1000000000, &width) ||
        !read_number(scanner, 1000000000, &height))
        return bad(scanner, err, "width and height should be numbers");
    if (!variant->bitmap && (!read_number(scanner, 65535, &max) || !max))
        return bad(scanner, err, "the maximum should be a number from 1 to 65535");
    if (peek(scanner) < 0 || !isspace(peek(scanner)))
        return bad(scanner, err, "the header should end with white space");
    scanner->at++;
    int bits = 1;
    while (max >> bits)
        bits++;
    *head = (struct sal_image_head){(int32_t)width, (int32_t)height, variant->channels,
                                    bits, max, 1};
    return sal_image_check_size(width, height, err);
}

static enum sal_status read_ascii(struct scanner *scanner, const struct variant *variant,
                                  const struct sal_image_head *head, uint16_t *samples,
                                  struct sal_error *err)
{
    size_t count = (size_t)head->width * head->height * head->channels;
    for (size_t i = 0; i < count; i++) {
        unsigned value;
        if (variant->bitmap) {
            skip_space(scanner);
            int digit = peek(scanner);
            if (digit != '0' && digit != '1')
                return bad(scanner, err, "samples should be 0 or 1");
            scanner->at++;
            value = digit == '0';
        } else if (!read_number(scanner, head->max, &value)) {
            return bad(scanner, err, "a sample is missing or over the maximum");
        }
        samples[i] = (uint16_t)value;
    }
    return SAL_OK;
}

/* Bits run from the high end of each byte; 1 is black. */
static void read_bitmap(const uint8_t *bytes, const struct sal_image_head *head,
                        uint16_t *samples)
{
    size_t stride = ((size_t)head->width + 7) / 8;
    for (int y = 0; y < head->height; y++, bytes += stride)
        for (int x = 0; x < head->width; x++)
            *samples++ = !(bytes[x / 8] >> (7 - x % 8) & 1);
}

static enum sal_status read_binary(struct scanner *scanner, const struct variant *variant,
                                   const struct sal_image_head *head, uint16_t *samples,
                                   struct sal_error *err)
{
    size_t row = (size_t)head->width * head->channels, count = row * head->height;
    size_t size = variant->bitmap ? (row + 7) / 8 * head->height
                                  : count * (head->max > 255 ? 2 : 1);
    if (size > scanner->bytes.size - scanner->at)
        return sal_fail(err, SAL_BAD_INPUT, "truncated PNM: %zu bytes of samples, not %zu",
                        scanner->bytes.size - scanner->at, size);
    const uint8_t *bytes = scanner->bytes.data + scanner->at;
    if (variant->bitmap)
        read_bitmap(bytes, head, samples);
    else
        for (size_t i = 0; i < count; i++) {
            samples[i] = head->max > 255 ? (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1])
                                         : bytes[i];
            if (samples[i] > head->max)
                return sal_fail(err, SAL_BAD_INPUT,
                                "corrupt PNM: a sample of %d is over the maximum %u",
                                samples[i], head->max);
        }
    return SAL_OK;
}

static enum sal_status pnm_decode(struct sal_span bytes, struct sal_image_sink *sink,
                                  struct sal_error *err)
{
    struct scanner scanner = {bytes, 2};
    const struct variant *variant = &variants[bytes.data[1]];
    struct sal_image_head head;
    uint16_t *samples;
    enum sal_status status = read_header(&scanner, variant, &head, err);
    if (!status)
        status = sal_image_begin(sink, &head, &samples, err);
    if (status)
        return status;
    return (variant->ascii ? read_ascii : read_binary)(&scanner, variant, &head, samples, err);
}

const struct sal_image_loader sal_image_pnm = {
    .name = "PNM",
    .extensions = "pnm,pgm,ppm,pbm",
    .title = "Netpbm bitmap, greymap and pixmap, 1 to 16 bits",
    .sniff = pnm_sniff,
    .decode = pnm_decode,
};
