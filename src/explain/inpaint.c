#include "inpaint.h"

#include <math.h>

#include "methods.h"

static const double precision = 3e-7; /* of the range around the hole, per step */
enum { SWEEPS_PER_SIDE = 4 }; /* two leave 1e-6 of what was wrong */

struct hole {
    const struct sal_model_input *input;
    int channel, top, left, bottom, right;
    sal_real *x;
};

static sal_real *pixel(const struct hole *h, int row, int column)
{
    int64_t i = (int64_t)row * h->input->width + column;
    return &h->x[sal_input_place(h->input, h->channel, i)];
}

/* The weighed mean of the neighbours that are in the picture. */
static double around(const struct hole *h, int row, int column)
{
    double sum = 0, all = 0;
    if (row > 0 && column > 0 && row + 1 < h->input->height && column + 1 < h->input->width) {
        const sal_real *at = pixel(h, row, column);
        int64_t right = pixel(h, row, column + 1) - at, down = pixel(h, row + 1, column) - at;
        double beside = (double)at[-right] + (double)at[right] + (double)at[-down] +
                        (double)at[down];
        double corners = (double)at[-right - down] + (double)at[right - down] +
                         (double)at[down - right] + (double)at[down + right];
        return (2 * beside + corners) / 12;
    }
    for (int v = row - 1; v <= row + 1; v++)
        for (int u = column - 1; u <= column + 1; u++) {
            bool inside = v >= 0 && v < h->input->height && u >= 0 && u < h->input->width;
            double weight = v == row && u == column ? 0 : v == row || u == column ? 2 : 1;
            if (!inside)
                continue;
            sum += weight * (double)*pixel(h, v, u);
            all += weight;
        }
    return sum / all;
}

/* max - min of the ring around the hole. */
static double range_around(const struct hole *h)
{
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int v = h->top - 1; v <= h->bottom; v++)
        for (int u = h->left - 1; u <= h->right; u++) {
            bool inside = v >= 0 && v < h->input->height && u >= 0 && u < h->input->width;
            bool ring = v < h->top || v == h->bottom || u < h->left || u == h->right;
            if (!inside || !ring)
                continue;
            low = fmin(low, (double)*pixel(h, v, u));
            high = fmax(high, (double)*pixel(h, v, u));
        }
    return high - low;
}

/* Successive over-relaxation; an edge of the picture mirrors, so that a hole there is as
 * good as twice as wide. */
static void relax(const struct hole *h)
{
    int rows = h->bottom - h->top, columns = h->right - h->left;
    rows *= h->top == 0 || h->bottom == h->input->height ? 2 : 1;
    columns *= h->left == 0 || h->right == h->input->width ? 2 : 1;
    int side = rows > columns ? rows : columns;
    double omega = 2 / (1 + sin(3.141592653589793 / (side + 1)));
    double limit = precision * range_around(h), most = HUGE_VAL;
    for (int sweep = 0; most > limit && sweep < SWEEPS_PER_SIDE * side; sweep++) {
        most = 0;
        for (int row = h->top; row < h->bottom; row++)
            for (int column = h->left; column < h->right; column++) {
                sal_real *value = pixel(h, row, column);
                double step = omega * (around(h, row, column) - (double)*value);
                sal_real before = *value;
                *value = (sal_real)((double)before + step);
                most = fmax(most, fabs((double)*value - (double)before));
            }
    }
}

void sal_inpaint(const struct sal_model_input *input, int top, int left, int bottom, int right,
                 sal_real *x)
{
    struct hole h = {input, 0, top, left, bottom, right, x};
    if (bottom - top == input->height && right - left == input->width)
        return;
    for (; h.channel < input->channels; h.channel++)
        relax(&h);
}
