#include "saliscope/agreement.h"

#include <math.h>
#include <stdlib.h>

#include "saliscope/top.h"

bool sal_map_is_flat(const float *values, int64_t n)
{
    double low = (double)values[0], high = low;
    for (int64_t i = 1; i < n; i++) {
        low = fmin(low, (double)values[i]);
        high = fmax(high, (double)values[i]);
    }
    return high - low <= 1e-6 * fmax(fabs(low), fabs(high));
}

/* ---- correlations --------------------------------------------------------------------------- */

struct moments {
    double mean_a, mean_b, aa, bb, ab;
};

static double correlation_of(const struct moments *m)
{
    double r = m->ab / sqrt(m->aa * m->bb);
    return m->aa > 0 && m->bb > 0 ? fmax(-1, fmin(1, r)) : (double)NAN;
}

/* In two passes: a large mean must not eat the spread. */
double sal_map_pearson(const float *a, const float *b, int64_t n)
{
    struct moments m = {0};
    if (sal_map_is_flat(a, n) || sal_map_is_flat(b, n))
        return (double)NAN;
    for (int64_t i = 0; i < n; i++) {
        m.mean_a += (double)a[i] / (double)n;
        m.mean_b += (double)b[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        double da = (double)a[i] - m.mean_a, db = (double)b[i] - m.mean_b;
        m.aa += da * da;
        m.bb += db * db;
        m.ab += da * db;
    }
    return correlation_of(&m);
}

struct placed {
    float value;
    int64_t at;
};

static int ascending(const void *a, const void *b)
{
    float x = ((const struct placed *)a)->value, y = ((const struct placed *)b)->value;
    return (x > y) - (x < y);
}

/* Twice the ranks, from the middle: whole numbers, so that sums have no rounding. */
static void rank(const float *values, int64_t n, struct placed *room, double *ranks)
{
    for (int64_t i = 0; i < n; i++)
        room[i] = (struct placed){values[i], i};
    qsort(room, (size_t)n, sizeof(*room), ascending);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && room[end].value == room[i].value;)
            end++;
        for (int64_t k = i; k < end; k++)
            ranks[room[k].at] = (double)(i + end - n);
    }
}

enum sal_status sal_map_spearman(const float *a, const float *b, int64_t n, double *spearman,
                                 struct sal_error *err)
{
    *spearman = (double)NAN;
    if (sal_map_is_flat(a, n) || sal_map_is_flat(b, n))
        return SAL_OK;
    struct placed *room = calloc((size_t)n, sizeof(*room));
    double *ranks = calloc((size_t)n * 2, sizeof(*ranks));
    struct moments m = {0};
    if (room && ranks) {
        rank(a, n, room, ranks);
        rank(b, n, room, ranks + n);
        for (int64_t i = 0; i < n; i++) {
            m.aa += ranks[i] * ranks[i];
            m.bb += ranks[n + i] * ranks[n + i];
            m.ab += ranks[i] * ranks[n + i];
        }
        *spearman = correlation_of(&m);
    }
    enum sal_status status =
        room && ranks ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory to rank a map");
    free(room);
    free(ranks);
    return status;
}

/* ---- structural similarity --------------------------------------------------------------------- */

enum { RADIUS = 5, TAPS = 2 * RADIUS + 1, MOMENTS = 5 };

static void fill_taps(double taps[TAPS])
{
    double sum = 0;
    for (int i = 0; i < TAPS; i++)
        sum += taps[i] = exp(-0.5 * (i - RADIUS) * (i - RADIUS) / (1.5 * 1.5));
    for (int i = 0; i < TAPS; i++)
        taps[i] /= sum;
}

/* Along a row: the weighted means of a, b, aa, bb, ab around each pixel, out [MOMENTS][many]. */
static void sum_row(const double taps[TAPS], const float *a, const float *b, int many,
                    double *out)
{
    for (int x = 0; x < many; x++) {
        double sum[MOMENTS] = {0};
        for (int i = 0; i < TAPS; i++) {
            double va = (double)a[x + i], vb = (double)b[x + i];
            const double of[MOMENTS] = {va, vb, va * va, vb * vb, va * vb};
            for (int k = 0; k < MOMENTS; k++)
                sum[k] += taps[i] * of[k];
        }
        for (int k = 0; k < MOMENTS; k++)
            out[k * many + x] = sum[k];
    }
}

static double similarity(const double m[MOMENTS], double c1, double c2)
{
    double aa = m[2] - m[0] * m[0], bb = m[3] - m[1] * m[1], ab = m[4] - m[0] * m[1];
    return (2 * m[0] * m[1] + c1) * (2 * ab + c2) /
           ((m[0] * m[0] + m[1] * m[1] + c1) * (aa + bb + c2));
}

/* Down a window's rows, of all windows of one line. */
static double sum_line(const double taps[TAPS], const double *rows, int many, double range)
{
    const double c1 = pow(0.01 * range, 2), c2 = pow(0.03 * range, 2);
    double sum = 0;
    for (int x = 0; x < many; x++) {
        double m[MOMENTS] = {0};
        for (int i = 0; i < TAPS; i++)
            for (int k = 0; k < MOMENTS; k++)
                m[k] += taps[i] * rows[(i * MOMENTS + k) * many + x];
        sum += similarity(m, c1, c2);
    }
    return sum;
}

enum sal_status sal_map_ssim(const float *a, const float *b, int height, int width,
                             double range, double *ssim, struct sal_error *err)
{
    const int many = width - TAPS + 1, lines = height - TAPS + 1;
    double taps[TAPS], sum = 0;
    *ssim = (double)NAN;
    if (many < 1 || lines < 1 || !(range > 0))
        return SAL_OK;
    const size_t row = (size_t)many * MOMENTS;
    double *rows = calloc((size_t)height * row, sizeof(*rows));
    if (!rows)
        return sal_fail(err, SAL_LIMIT, "no memory to compare maps of %d x %d", width, height);
    fill_taps(taps);
    for (int y = 0; y < height; y++)
        sum_row(taps, a + (int64_t)y * width, b + (int64_t)y * width, many,
                rows + (size_t)y * row);
    for (int y = 0; y < lines; y++)
        sum += sum_line(taps, rows + (size_t)y * row, many, range);
    *ssim = sum / ((double)many * lines);
    free(rows);
    return SAL_OK;
}

/* ---- mass ------------------------------------------------------------------------------------------ */

bool sal_map_centre(const float *values, int height, int width, double *x, double *y)
{
    double mass = 0, across = 0, down = 0;
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++) {
            double v = fabs((double)values[(int64_t)i * width + j]);
            mass += v;
            across += v * j;
            down += v * i;
        }
    *x = across / mass;
    *y = down / mass;
    return mass > 0;
}

static double shift_of(const float *a, const float *b, int height, int width)
{
    double x[2], y[2];
    bool mass = sal_map_centre(a, height, width, &x[0], &y[0]);
    mass &= sal_map_centre(b, height, width, &x[1], &y[1]);
    return mass ? hypot(x[0] - x[1], y[0] - y[1]) : (double)NAN;
}

/* ---- all of them ------------------------------------------------------------------------------------ */

#define AT(field) offsetof(struct sal_map_agreement, field)

const struct sal_measure sal_measures[] = {
    {"top_overlap", "top overlap", "", "share of the top pixels that both have, by magnitude",
     "Ghorbani et al., AAAI 2019, arXiv:1710.10547", 1, AT(overlap)},
    {"spearman", "Spearman", "", "correlation of ranks, equal values with their mean rank",
     "Spearman, 1904", 1, AT(spearman)},
    {"spearman_magnitude", "Spearman of magnitudes", "", "the same, sign apart",
     "Adebayo et al., NeurIPS 2018, arXiv:1810.03292", 1, AT(spearman_magnitude)},
    {"pearson", "Pearson", "", "correlation of values", "Pearson, 1895", 1, AT(pearson)},
    {"ssim", "SSIM", "", "structural similarity of the maps as they are drawn",
     "Wang et al., IEEE TIP 2004", 1, AT(ssim)},
    {"mass_shift", "shift of the centre", "pixels", "distance of the centres of mass, by magnitude",
     "Ghorbani et al., AAAI 2019, arXiv:1710.10547", 0, AT(shift)},
    {0},
};

double *sal_measure_in(struct sal_map_agreement *agreement, const struct sal_measure *measure)
{
    return (double *)((char *)agreement + measure->at);
}

double sal_measure_of(const struct sal_map_agreement *agreement,
                      const struct sal_measure *measure)
{
    return *(const double *)((const char *)agreement + measure->at);
}

struct sal_map_agreement sal_map_agreement_none(void)
{
    struct sal_map_agreement agreement = {0};
    for (const struct sal_measure *m = sal_measures; m->name; m++)
        *sal_measure_in(&agreement, m) = (double)NAN;
    return agreement;
}

/* Whether one is negative. */
static bool put_magnitudes(const float *values, int64_t n, float *out)
{
    bool negative = false;
    for (int64_t i = 0; i < n; i++) {
        negative |= values[i] < 0;
        out[i] = fabsf(values[i]);
    }
    return negative;
}

static double largest(const float *values, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)values[i]));
    return most;
}

/* Into 0..1 as a map is drawn: by its largest magnitude, and where there is evidence against,
 * zero in the middle. SSIM knows no negative means: it would take a map for its negative. */
static void put_drawn(const float *values, int64_t n, bool negative, float *out)
{
    const double most = largest(values, n);
    for (int64_t i = 0; i < n; i++) {
        double v = (double)values[i] / most;
        out[i] = (float)(negative ? 0.5 * v + 0.5 : v);
    }
}

static enum sal_status compare(const float *a, const float *b, int height, int width,
                               float *room, struct sal_map_agreement *out, struct sal_error *err)
{
    const int64_t n = (int64_t)height * width;
    bool negative = put_magnitudes(a, n, room);
    negative |= put_magnitudes(b, n, room + n);
    if (!sal_map_is_flat(room, n) && !sal_map_is_flat(room + n, n)) {
        struct sal_top top_a = sal_top_find(room, n, out->top);
        struct sal_top top_b = sal_top_find(room + n, n, out->top);
        out->overlap = sal_top_overlap(room, &top_a, room + n, &top_b, n);
    }
    out->shift = shift_of(a, b, height, width);
    out->pearson = sal_map_pearson(a, b, n);
    enum sal_status status = sal_map_spearman(a, b, n, &out->spearman, err);
    out->spearman_magnitude = out->spearman;
    if (!status && negative)
        status = sal_map_spearman(room, room + n, n, &out->spearman_magnitude, err);
    if (status || isnan(out->pearson))
        return status;
    put_drawn(a, n, negative, room);
    put_drawn(b, n, negative, room + n);
    return sal_map_ssim(room, room + n, height, width, 1, &out->ssim, err);
}

enum sal_status sal_map_agreement_of(const float *a, const float *b, int height, int width,
                                 double share, struct sal_map_agreement *out,
                                 struct sal_error *err)
{
    const int64_t n = (int64_t)height * width;
    *out = sal_map_agreement_none();
    out->top = sal_top_places(n, share);
    float *room = calloc((size_t)n * 2, sizeof(*room));
    if (!room)
        return sal_fail(err, SAL_LIMIT, "no memory to compare maps of %d x %d", width, height);
    enum sal_status status = compare(a, b, height, width, room, out, err);
    free(room);
    return status;
}
