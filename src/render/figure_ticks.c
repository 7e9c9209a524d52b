#include "figure_ticks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST 1e-300 /* what is smaller is 0: its power of ten is no number */

enum { DECIMALS_MAX = 8 };

/* Exponent of ten of a positive number; 0 for others. */
static int magnitude(double value)
{
    return value > 0 ? (int)floor(log10(value) + 1e-12) : 0;
}

/* Through whole numbers, because printf's decimal point follows the locale. */
static void print_fixed(char *text, size_t size, double value, int decimals)
{
    long long unit = 1;
    for (int i = 0; i < decimals; i++)
        unit *= 10;
    long long n = llround(value * (double)unit), m = llabs(n);
    const char *sign = n < 0 ? "\xE2\x88\x92" : "";
    if (decimals)
        snprintf(text, size, "%s%lld.%0*lld", sign, m / unit, decimals, m % unit);
    else
        snprintf(text, size, "%s%lld", sign, m);
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

struct sal_ticks sal_ticks_even(struct sal_range range, int n)
{
    double span = range.high - range.low;
    double size = fmax(fabs(range.low), fabs(range.high));
    struct sal_ticks ticks = {.n = fabs(span) > 0 ? n : 1, .at = {0.5}};
    int power = magnitude(size);
    if (power < -3 || power > 3)
        ticks.exponent = power;
    int decimals = 2 - power + ticks.exponent;
    decimals = most(decimals, ticks.exponent + 1 - magnitude(fabs(span) / (n - 1)));
    decimals = decimals < 0 ? 0 : decimals > DECIMALS_MAX ? DECIMALS_MAX : decimals;
    for (int i = 0; i < ticks.n; i++) {
        if (ticks.n > 1)
            ticks.at[i] = (double)i / (n - 1);
        double value = range.low + ticks.at[i] * span;
        print_fixed(ticks.label[i], sizeof(ticks.label[i]),
                    value / pow(10, ticks.exponent), decimals);
    }
    return ticks;
}

struct sal_ticks sal_ticks_of(struct sal_range range)
{
    return sal_ticks_even(range, SAL_TICKS);
}

/* Cuts zeros, and a point, behind the decimals. */
static void trim(char *text)
{
    char *end = text + strlen(text);
    if (!strchr(text, '.'))
        return;
    while (end[-1] == '0')
        *--end = '\0';
    if (end[-1] == '.')
        end[-1] = '\0';
}

static bool ends_in(const struct sal_ticks *ticks, char c)
{
    for (int i = 0; i < ticks->n; i++) {
        size_t size = strlen(ticks->label[i]);
        if (!strchr(ticks->label[i], '.') || ticks->label[i][size - 1] != c)
            return false;
    }
    return ticks->n > 0;
}

static void cut_last(struct sal_ticks *ticks)
{
    for (int i = 0; i < ticks->n; i++)
        ticks->label[i][strlen(ticks->label[i]) - 1] = '\0';
}

void sal_ticks_trim(struct sal_ticks *ticks)
{
    while (ends_in(ticks, '0'))
        cut_last(ticks);
    if (ends_in(ticks, '.'))
        cut_last(ticks);
}

void sal_ticks_number(double value, char *text, size_t size)
{
    *text = '\0';
    if (!isfinite(value))
        return;
    int power = fabs(value) > LEAST ? magnitude(fabs(value)) : 0;
    bool plain = power >= -4 && power < 6;
    int decimals = plain ? 2 - power : 2;
    print_fixed(text, size, plain ? value : value / pow(10, power), decimals > 0 ? decimals : 0);
    trim(text);
    size_t used = strlen(text);
    if (!plain)
        snprintf(text + used, size - used, "e%d", power);
}

static struct sal_ticks both_ends(struct sal_range range)
{
    struct sal_ticks ticks = {.n = 2, .at = {0, 1}};
    sal_ticks_number(range.low, ticks.label[0], sizeof(ticks.label[0]));
    sal_ticks_number(range.high, ticks.label[1], sizeof(ticks.label[1]));
    return ticks;
}

struct sal_ticks sal_ticks_log2(struct sal_range range)
{
    struct sal_ticks ticks = {0};
    double low = log2(range.low), high = log2(range.high);
    int first = (int)ceil(low - 1e-9), last = (int)floor(high + 1e-9);
    int step = 1 + (last - first) / SAL_TICKS_MAX;
    if (last <= first)
        return both_ends(range);
    for (int k = last - (last - first) / step * step; k <= last; k += step) {
        ticks.at[ticks.n] = fmin(fmax((k - low) / (high - low), 0), 1);
        sal_ticks_number(ldexp(1, k), ticks.label[ticks.n], sizeof(ticks.label[0]));
        ticks.n++;
    }
    return ticks;
}

static void mark(char label[static 48], const char *sign)
{
    char number[48];
    memcpy(number, label, sizeof(number));
    snprintf(label, sizeof(number), "%s %.40s", sign, number);
}

void sal_ticks_mark(struct sal_ticks *ticks, bool below, bool above)
{
    if (ticks->n < 2)
        return;
    if (below)
        mark(ticks->label[0], "\xE2\x89\xA4");
    if (above)
        mark(ticks->label[ticks->n - 1], "\xE2\x89\xA5");
}

void sal_ticks_unit(const struct sal_ticks *ticks, const char *unit, char *text,
                    size_t size)
{
    static const char *const digit[] = {
        "\xE2\x81\xB0", "\xC2\xB9",     "\xC2\xB2",     "\xC2\xB3",     "\xE2\x81\xB4",
        "\xE2\x81\xB5", "\xE2\x81\xB6", "\xE2\x81\xB7", "\xE2\x81\xB8", "\xE2\x81\xB9"};
    char power[64] = "", plain[16];
    if (ticks->exponent) {
        strcpy(power, ticks->exponent < 0 ? "\xC3\x97" "10\xE2\x81\xBB" : "\xC3\x97" "10");
        snprintf(plain, sizeof(plain), "%d", abs(ticks->exponent));
        for (const char *p = plain; *p; p++)
            strcat(power, digit[*p - '0']);
    }
    snprintf(text, size, "%s%s%s", power, *power && unit && *unit ? " " : "",
             unit ? unit : "");
}
