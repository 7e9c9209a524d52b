#include "plot_scale.h"

#include <math.h>
#include <stddef.h>

/* ---- how they look ------------------------------------------------------------------------- */

/* Colours of Okabe and Ito: apart for every kind of colour vision, on black and on white. */
const struct sal_plot_style sal_plot_styles[SAL_PLOT_CURVES] = {
    {{213, 94, 0}, 0xff, '*', {0}, 0, 0},
    {{0, 114, 178}, 0x1f, 'o', {4, 2}, 2, 0},
    {{0, 158, 115}, 0x11, '+', {1, 2}, 2, 0},
    {{204, 121, 167}, 0x2f, 'x', {5, 1.5, 1, 1.5}, 4, 0},
    {{230, 159, 0}, 0x33, '#', {2.5, 2.5}, 2, 0},
    {{86, 180, 233}, 0x57, '%', {4, 1.5, 1, 1.5, }, 4, 0},
};

const struct sal_plot_style sal_plot_band_style = {{150, 150, 150}, 0x11, '.', {0}, 0, 0};

#define LINE {110, 110, 110}, 0x0f
const struct sal_plot_style sal_plot_level_styles[] = {
    {LINE, '-', {3, 3}, 2, 0x254c},       /* ╌ */
    {LINE, '~', {1, 2}, 2, 0x2508},       /* ┈ */
    {LINE, '=', {6, 2, 1, 2}, 4, 0x2504}, /* ┄ */
};
const struct sal_plot_style sal_plot_mark_style = {LINE, '|', {3, 3}, 2, 0x254e}; /* ╎ */
#undef LINE

int sal_plot_legend(const struct sal_plot *plot, struct sal_plot_entry entries[SAL_PLOT_ENTRIES])
{
    int n = 0;
    for (int i = 0; i < SAL_PLOT_CURVES; i++)
        if (plot->curve[i].n)
            entries[n++] = (struct sal_plot_entry){SAL_PLOT_CURVE, plot->curve[i].name,
                                                   &sal_plot_styles[i]};
    if (plot->band.n)
        entries[n++] =
            (struct sal_plot_entry){SAL_PLOT_BAND, plot->band.name, &sal_plot_band_style};
    for (int i = 0; i < SAL_PLOT_LEVELS; i++)
        if (plot->level[i].name)
            entries[n++] = (struct sal_plot_entry){SAL_PLOT_LEVEL, plot->level[i].name,
                                                   &sal_plot_level_styles[i]};
    for (int i = 0; i < SAL_PLOT_MARKS; i++)
        if (plot->mark[i].name)
            entries[n++] = (struct sal_plot_entry){SAL_PLOT_MARK, plot->mark[i].name,
                                                   &sal_plot_mark_style};
    return n;
}

/* ---- ranges -------------------------------------------------------------------------------- */

#define MOST 1e30 /* what is larger is no measurement, and its span none either */

static bool shows(const struct sal_plot_axis *axis, double value)
{
    return fabs(value) <= MOST && (!axis->log2 || value > 1 / MOST);
}

static void widen(struct sal_range *range, double value)
{
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

/* Takes in every point that both axes can show. */
static void hold(const struct sal_plot *plot, const double *x, const double *y, int n,
                 struct sal_range *across, struct sal_range *up)
{
    for (int i = 0; i < n; i++)
        if (shows(&plot->x, x[i]) && shows(&plot->y, y[i])) {
            widen(across, x[i]);
            widen(up, y[i]);
        }
}

static void hold_lines(const struct sal_plot_axis *axis, const struct sal_plot_line *line, int n,
                       struct sal_range *range)
{
    for (int i = 0; i < n; i++)
        if (line[i].name && shows(axis, line[i].at))
            widen(range, line[i].at);
}

enum { STEPS_MIN = 4, STEPS_MAX = 8 };

/* A short number times a power of ten, at least size. */
static double round_step(double size)
{
    static const double steps[] = {1, 2, 2.5, 5};
    double unit = pow(10, floor(log10(size)));
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        if (steps[i] * unit >= size * (1 - 1e-12))
            return steps[i] * unit;
    return 10 * unit;
}

/* The least range of a few round steps that holds it; of several as small the one of the
 * fewest. Returns how many steps it has. */
static int round_range(struct sal_range *range)
{
    struct sal_range best = {0, INFINITY}, given = *range;
    int steps = STEPS_MIN;
    for (int n = STEPS_MIN; n <= STEPS_MAX; n++) {
        double step = round_step((given.high - given.low) / n);
        double low = floor(given.low / step + 1e-9) * step;
        int most = (int)ceil((given.high - low) / step - 1e-9);
        most = most < STEPS_MIN ? STEPS_MIN : most;
        if (most > STEPS_MAX || most * step >= (best.high - best.low) * (1 - 1e-9))
            continue;
        best = (struct sal_range){low, low + most * step};
        steps = most;
    }
    *range = isfinite(best.high) ? best : given;
    return steps;
}

static struct sal_range apart(struct sal_range range, bool log2)
{
    double size = fmax(fabs(range.low), fabs(range.high));
    if (range.high - range.low > fmax(1e-9 * size, log2 ? 0 : 1 / MOST))
        return range;
    if (log2)
        return (struct sal_range){range.low / 2, range.high * 2};
    double half = size > 1 / MOST ? size / 2 : 0.5;
    return (struct sal_range){range.low - half, range.high + half};
}

static void set(struct sal_plot_scale *scale, const struct sal_plot_axis *axis,
                struct sal_range fitted)
{
    bool given = axis->range.high - axis->range.low > 1 / MOST && shows(axis, axis->range.low) &&
                 shows(axis, axis->range.high);
    int steps = SAL_TICKS - 1;
    *scale = (struct sal_plot_scale){.range = given ? axis->range : apart(fitted, axis->log2),
                                     .log2 = axis->log2};
    if (!given && !axis->log2)
        steps = round_range(&scale->range);
    scale->ticks = axis->log2 ? sal_ticks_log2(scale->range)
                              : sal_ticks_even(scale->range, steps + 1);
    sal_ticks_trim(&scale->ticks);
    for (int i = 0; i < scale->ticks.n && axis->second > 0; i++) {
        double low = axis->log2 ? log2(scale->range.low) : scale->range.low;
        double high = axis->log2 ? log2(scale->range.high) : scale->range.high;
        double at = low + scale->ticks.at[i] * (high - low);
        sal_ticks_number(axis->second * (axis->log2 ? exp2(at) : at), scale->second[i],
                         sizeof(scale->second[i]));
    }
}

enum sal_status sal_plot_scales(const struct sal_plot *plot, struct sal_plot_scale *x,
                                struct sal_plot_scale *y, struct sal_error *err)
{
    struct sal_range across = {INFINITY, -INFINITY}, up = across;
    const struct sal_plot_band *band = &plot->band;
    for (int i = 0; i < SAL_PLOT_CURVES; i++)
        hold(plot, plot->curve[i].x, plot->curve[i].y, plot->curve[i].n, &across, &up);
    hold(plot, band->x, band->low, band->n, &across, &up);
    hold(plot, band->x, band->high, band->n, &across, &up);
    if (!(across.low <= across.high))
        return sal_fail(err, SAL_USAGE, "plot: there is no point to draw");
    hold_lines(&plot->x, plot->mark, SAL_PLOT_MARKS, &across);
    hold_lines(&plot->y, plot->level, SAL_PLOT_LEVELS, &up);
    set(x, &plot->x, across);
    set(y, &plot->y, up);
    return SAL_OK;
}

double sal_plot_place(const struct sal_plot_scale *scale, double value)
{
    struct sal_range range = scale->range;
    if (!isfinite(value) || (scale->log2 && !(value > 0)))
        return (double)NAN;
    if (scale->log2)
        return log2(value / range.low) / log2(range.high / range.low);
    return (value - range.low) / (range.high - range.low);
}

int sal_plot_step(const double *start, const double *end, int n)
{
    int step = 1;
    for (bool fits = false; !fits && step < n; step += !fits) {
        fits = true;
        for (int i = step; i < n; i += step)
            fits &= start[i] > end[i - step];
    }
    return step;
}

int sal_plot_way(const struct sal_plot_curve *curve, const struct sal_plot_scale *x,
                 const struct sal_plot_scale *y, int i, double px[3], double py[3])
{
    double x0 = sal_plot_place(x, curve->x[i]), x1 = sal_plot_place(x, curve->x[i + 1]);
    double y0 = sal_plot_place(y, curve->y[i]), y1 = sal_plot_place(y, curve->y[i + 1]);
    if (!isfinite(x0 + x1 + y0 + y1))
        return 0;
    int n = 0;
    px[n] = x0, py[n++] = y0;
    if (curve->steps)
        px[n] = x1, py[n++] = y0;
    px[n] = x1, py[n++] = y1;
    return n;
}
