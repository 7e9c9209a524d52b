#include "saliscope/top.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

int64_t sal_top_places(int64_t n, double share)
{
    int64_t k = (int64_t)(share * (double)n + 0.5);
    return k < 1 ? 1 : k > n ? n : k;
}

/* A number that is in the order of the floats; both zeros are one. */
static uint32_t key_of(float value)
{
    uint32_t bits;
    value += 0.0F;
    memcpy(&bits, &value, sizeof(bits));
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The k-th highest is found digit by digit, of 8 bits: each pass counts the pixels that agree
 * in the digits before, by their next. */
struct sal_top sal_top_find(const float *values, int64_t n, int64_t k)
{
    assert(k >= 1 && k <= n);
    uint32_t found = 0, mask = 0;
    int64_t left = k, equal = n;
    for (int shift = 24; shift >= 0; shift -= 8) {
        int64_t count[256] = {0};
        for (int64_t i = 0; i < n; i++) {
            uint32_t key = key_of(values[i]);
            count[key >> shift & 255] += (key & mask) == found;
        }
        uint32_t digit = 255;
        for (; left > count[digit]; digit--)
            left -= count[digit];
        equal = count[digit];
        found |= digit << shift;
        mask |= (uint32_t)255 << shift;
    }
    return (struct sal_top){k, value_of(found), left, equal};
}

double sal_top_part(const struct sal_top *top, float value)
{
    return value > top->least    ? 1
           : value == top->least ? (double)top->left / (double)top->equal
                                 : 0;
}

/* That many pixels that are tied in it, each with its part. */
static double places_of(const struct sal_top *top, int64_t pixels)
{
    return (double)(top->left * pixels) / (double)top->equal;
}

/* Counted, not summed: whole parts stay whole. */
double sal_top_overlap(const float *a, const struct sal_top *top_a, const float *b,
                       const struct sal_top *top_b, int64_t n)
{
    assert(top_a->k == top_b->k);
    int64_t both = 0, tied_a = 0, tied_b = 0, tied = 0;
    for (int64_t i = 0; i < n; i++) {
        bool in_a = a[i] > top_a->least, in_b = b[i] > top_b->least;
        bool at_a = a[i] == top_a->least, at_b = b[i] == top_b->least;
        both += in_a && in_b;
        tied_a += at_a && in_b;
        tied_b += in_a && at_b;
        tied += at_a && at_b;
    }
    double sum = (double)both + places_of(top_a, tied_a) + places_of(top_b, tied_b) +
                 fmin(places_of(top_a, tied), places_of(top_b, tied));
    return sum / (double)top_a->k;
}
