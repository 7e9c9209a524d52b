#include <math.h>
#include <string.h>

#include "overlay_draw.h"

/* Floats as whole numbers in the same order, -0 below +0. */
static uint32_t order_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

static float value_of(uint32_t order)
{
    uint32_t bits = order >> 31 ? order & ~(UINT32_C(1) << 31) : ~order;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The rank-th largest (from 0) of those values that are not NAN, a byte at a time
 * from the highest: drawing needs no memory and so cannot fail. */
static uint32_t select_largest(const float *values, long n, long rank)
{
    uint32_t prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        long count[256] = {0};
        uint32_t known = shift == 24 ? 0 : UINT32_MAX << (shift + 8);
        for (long i = 0; i < n; i++) {
            uint32_t order = order_of(values[i]);
            if (!isnan(values[i]) && (order & known) == prefix)
                count[order >> shift & 255]++;
        }
        uint32_t digit = 255;
        while (digit > 0 && rank >= count[digit])
            rank -= count[digit--];
        prefix |= digit << shift;
    }
    return prefix;
}

float sal_contour_threshold(const float *values, long n, double percent)
{
    long counted = 0;
    float least = INFINITY;
    for (long i = 0; i < n; i++) {
        if (isnan(values[i]))
            continue;
        counted++;
        least = fminf(least, values[i]);
    }
    if (counted == 0)
        return NAN;
    long top = (long)ceil(fmin(fmax(percent, 0), 100) / 100 * (double)counted);
    float value = value_of(select_largest(values, n, top < 1 ? 0 : top - 1));
    return value > least ? value : nextafterf(least, INFINITY);
}

static bool is_edge(const float *values, int width, int height, int x, int y,
                    float threshold)
{
    static const int step[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    bool inside = values[(long)y * width + x] >= threshold;
    for (int k = 0; k < 4; k++) {
        int nx = x + step[k][0], ny = y + step[k][1];
        if (nx < 0 || ny < 0 || nx >= width || ny >= height)
            continue;
        if ((values[(long)ny * width + nx] >= threshold) != inside)
            return true;
    }
    return false;
}

void sal_contour_draw(struct sal_picture *picture, const float *values, double percent)
{
    int width = picture->width, height = picture->height;
    float threshold = sal_contour_threshold(values, (long)width * height, percent);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            long i = (long)y * width + x;
            if (is_edge(values, width, height, x, y, threshold))
                memset(picture->rgb + 3 * i, values[i] >= threshold ? 255 : 0, 3);
        }
}
