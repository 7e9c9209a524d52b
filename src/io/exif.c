#include "exif.h"

#include <stdbool.h>
#include <stddef.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_SIZE = 12 };

struct tiff {
    struct sal_span bytes;
    bool big_endian;
};

/* An unsigned number of 2 or 4 bytes; 0 where the block does not reach. */
static uint32_t number(const struct tiff *tiff, size_t at, size_t size)
{
    if (at > tiff->bytes.size || tiff->bytes.size - at < size)
        return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | tiff->bytes.data[at + (tiff->big_endian ? i : size - 1 - i)];
    return value;
}

int sal_exif_orientation(struct sal_span bytes)
{
    struct tiff tiff = {bytes, false};
    if (bytes.size < 8 || bytes.data[0] != bytes.data[1])
        return 1;
    if (bytes.data[0] != 'I' && bytes.data[0] != 'M')
        return 1;
    tiff.big_endian = bytes.data[0] == 'M';
    if (number(&tiff, 2, 2) != 42)
        return 1;
    size_t directory = number(&tiff, 4, 4);
    size_t entries = number(&tiff, directory, 2);
    for (size_t i = 0; i < entries; i++) {
        size_t at = directory + 2 + i * ENTRY_SIZE;
        if (number(&tiff, at, 2) != TAG_ORIENTATION)
            continue;
        uint32_t value = number(&tiff, at + 8, 2);
        bool valid = number(&tiff, at + 2, 2) == TYPE_SHORT && value >= 1 && value <= 8;
        return valid ? (int)value : 1;
    }
    return 1;
}

/* How a shown pixel is found in the stored picture. */
static const struct {
    bool swap, flip_x, flip_y;
} turns[9] = {
    [1] = {0, 0, 0}, [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1},
    [5] = {1, 0, 0}, [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0},
};

void sal_exif_undo(int orientation, const uint16_t *samples, int width, int height,
                   int channels, unsigned max, uint16_t *out)
{
    bool swap = turns[orientation].swap;
    int out_width = swap ? height : width, out_height = swap ? width : height;
    for (int y = 0; y < out_height; y++)
        for (int x = 0; x < out_width; x++) {
            int from_x = swap ? y : x, from_y = swap ? x : y;
            if (turns[orientation].flip_x)
                from_x = width - 1 - from_x;
            if (turns[orientation].flip_y)
                from_y = height - 1 - from_y;
            const uint16_t *from =
                samples + ((size_t)from_y * width + from_x) * channels;
            for (int c = 0; c < channels; c++)
                *out++ = from[c] < max ? from[c] : (uint16_t)max;
        }
}
