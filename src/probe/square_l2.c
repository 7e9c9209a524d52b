/* What the Square attack tries in L2: the change of one window is given up, and what
 * length that frees goes into another, as a bump beside its negative (eta in the
 * paper), so that each point has the ball's whole length. As published, but that a
 * window may lie anywhere in a picture of any shape, the last row and column included,
 * and is at most as large as it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"
#include "saliscope/random.h"

enum { SIDE_LEAST = 3, TILES = 5 };

struct window {
    int top, left, side;
};

static bool coin(uint64_t key, uint64_t counter)
{
    return sal_random_bits(key, counter) >> 63;
}

static int below(uint64_t key, uint64_t counter, int n)
{
    return (int)(sal_random_uniform(key, counter) * n);
}

static int shorter_side(const struct sal_search *s)
{
    const struct sal_model_input *input = s->space.input;
    return input->height < input->width ? input->height : input->width;
}

/* ---- eta -------------------------------------------------------------------------------------- */

/* Rows top..top+height of out [side][side]: squares around the middle, the k-th 1 / k^2
 * high, one on another; of length 1, times sign. */
static void put_bump(int top, int height, int side, double sign, float *out)
{
    const int reach = (height > side ? height : side) / 2;
    double squares = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < side; x++) {
            int dy = abs(y - height / 2), dx = abs(x - side / 2);
            double high = 0;
            for (int k = dy > dx ? dy : dx; k <= reach; k++)
                high += 1.0 / (k + 1) / (k + 1);
            out[(top + y) * side + x] = (float)high;
            squares += high * high;
        }
    double scale = squares > 0 ? sign / sqrt(squares) : 0;
    for (int i = top * side; i < (top + height) * side; i++)
        out[i] = (float)((double)out[i] * scale);
}

/* A bump over a dent; their sizes depend on the side alone, so they are made once for
 * each. */
void sal_eta_init(struct sal_eta *eta, int side)
{
    if (eta->side == side)
        return;
    eta->side = side;
    put_bump(0, side / 2, side, 1, eta->values);
    put_bump(side / 2, side - side / 2, side, -1, eta->values);
}

static double eta_at(const struct sal_eta *eta, bool turned, int y, int x)
{
    return (double)eta->values[turned ? x * eta->side + y : y * eta->side + x];
}

/* ---- windows ------------------------------------------------------------------------------------ */

static int64_t place(const struct sal_search *s, int plane, int y, int x)
{
    return plane * s->space.pixels + (int64_t)y * s->space.input->width + x;
}

static double change_at(const struct sal_search *s, const float *p, int64_t at)
{
    return (double)p[at] - (double)s->space.p0[at];
}

static bool holds(struct window w, int y, int x)
{
    return y >= w.top && y < w.top + w.side && x >= w.left && x < w.left + w.side;
}

/* Of the change in a window; where `but` has it, not counted again. */
static double squares_in(const struct sal_search *s, const float *p, int plane,
                         struct window w, const struct window *but)
{
    double sum = 0;
    for (int y = w.top; y < w.top + w.side; y++)
        for (int x = w.left; x < w.left + w.side; x++) {
            double d = change_at(s, p, place(s, plane, y, x));
            sum += but && holds(*but, y, x) ? 0 : d * d;
        }
    return sum;
}

static void clear_window(const struct sal_search *s, int plane, struct window w,
                         const struct window *but, float *p)
{
    for (int y = w.top; y < w.top + w.side; y++)
        for (int x = w.left; x < w.left + w.side; x++)
            if (!holds(*but, y, x))
                p[place(s, plane, y, x)] = s->space.p0[place(s, plane, y, x)];
}

/* What is in the window, as a direction, plus eta: of that length. */
static void put_window(const struct sal_search *s, int plane, struct window w,
                       const struct sal_eta *eta, bool turned, double sign,
                       double length, float *p)
{
    double old = sqrt(squares_in(s, p, plane, w, NULL)), sum = 0, scale = 1;
    for (int pass = 0; pass < 2; pass++) {
        for (int y = 0; y < w.side; y++)
            for (int x = 0; x < w.side; x++) {
                int64_t at = place(s, plane, w.top + y, w.left + x);
                double d = change_at(s, p, at) / (old + 1e-10) +
                           sign * eta_at(eta, turned, y, x);
                sum += pass ? 0 : d * d;
                if (pass)
                    p[at] = (float)((double)s->space.p0[at] + scale * d);
            }
        scale = sum > 0 ? length / sqrt(sum) : 0;
    }
}

static struct window draw_window(const struct sal_search *s, int side, uint64_t key,
                                 uint64_t counter)
{
    const struct sal_model_input *input = s->space.input;
    return (struct window){.top = below(key, counter, input->height - side + 1),
                           .left = below(key, counter + 1, input->width - side + 1),
                           .side = side};
}

/* ---- points --------------------------------------------------------------------------------------- */

/* Tiles, each as long as the ball; the projection makes all of them as long together. */
void sal_square_l2_begin(const struct sal_search *s, struct sal_eta *eta, float *p)
{
    const struct sal_model_input *input = s->space.input;
    const uint64_t key = sal_stream_key(s, SAL_STREAM_SQUARE, 0);
    int side = shorter_side(s) / TILES;
    side = side > 0 ? side : 1;
    sal_eta_init(eta, side);
    uint64_t tile = 0;
    for (int top = input->height % side / 2; top + side <= input->height; top += side)
        for (int left = input->width % side / 2; left + side <= input->width;
             left += side, tile++)
            for (int k = 0; k < s->space.planes; k++) {
                uint64_t counter = tile * (SAL_SPACE_CHANNELS_MAX + 1);
                double sign = coin(key, counter + 1 + (uint64_t)k) ? 1 : -1;
                put_window(s, k, (struct window){top, left, side}, eta,
                           coin(key, counter), sign, s->ball.eps, p);
            }
    sal_space_project(&s->space, s->ball, p);
}

/* What the window had and gave up, and what the range has held back, make the whole length. */
void sal_square_l2_change(const struct sal_search *s, struct sal_eta *eta, int64_t i,
                          double share, float *p)
{
    const uint64_t key = sal_stream_key(s, SAL_STREAM_SQUARE, (uint64_t)i);
    const int most = shorter_side(s);
    int side = (int)(sqrt(share * (double)s->space.pixels) + 0.5);
    side = (side > SIDE_LEAST ? side : SIDE_LEAST) | 1;
    side = side < most ? side : most;
    struct window to = draw_window(s, side, key, 0),
                  from = draw_window(s, side, key, 2);
    double length = sal_space_norm(&s->space, SAL_L2, p), eps = s->ball.eps;
    double spare = fmax(0, eps * eps - length * length) / s->space.planes;
    sal_eta_init(eta, side);
    for (int k = 0; k < s->space.planes; k++) {
        double had = squares_in(s, p, k, to, NULL) + squares_in(s, p, k, from, &to);
        clear_window(s, k, from, &to, p);
        put_window(s, k, to, eta, coin(key, 4), coin(key, 5 + (uint64_t)k) ? 1 : -1,
                   sqrt(spare + had), p);
    }
    sal_space_project(&s->space, s->ball, p);
}
