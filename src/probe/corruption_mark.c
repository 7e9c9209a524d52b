/* What is in a picture beside its subject: corners that the beam does not reach, a marker of
 * the side. */
#include <math.h>
#include <string.h>

#include "corruption.h"

/* ---- black corners --------------------------------------------------------------- */

/* The edge fades over one pixel of the shorter side, so that a radius is not a row of jumps. */
static enum sal_status alter_corner(const struct sal_canvas *canvas,
                                    const struct sal_alteration *how, const float *from,
                                    float *to, struct sal_error *err)
{
    (void)err;
    const int h = canvas->height, w = canvas->width;
    const double half_h = h / 2.0, half_w = w / 2.0, pixel = 1 / fmin(half_h, half_w);
    for (int64_t i = 0; i < (int64_t)canvas->planes * h * w; i++) {
        double y = (double)(i / w % h) + 0.5, x = (double)(i % w) + 0.5;
        double off = hypot(y / half_h - 1, x / half_w - 1);
        double left = fmin(fmax((how->setting - off) / pixel + 0.5, 0), 1);
        to[i] = (float)(left * (double)from[i]);
    }
    return SAL_OK;
}

static const struct sal_param corner_params[] = SAL_CORRUPTION_PARAMS(
    2, 0, 2, "", "radius of what is left, over half the height and half the width; 2: by severity");

const struct sal_corruption sal_corruption_black_corner = {
    .probe = {.name = "black-corner",
              .title = "Black corners",
              .formula = "0 outside of an ellipse (of a circle, where the picture is square)",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536), of dermamnist",
              .params = corner_params,
              .run = sal_corruption_run},
    .neutral = 2,
    .gentle = 1.5,
    .ways = {{"", 0, {{1.1, 1.05, 1, .95, .9}}}},
    .n_ways = 1,
    .alter = alter_corner,
};

/* ---- marker of the side ---------------------------------------------------------- */

struct point {
    double x, y;
};

/* Strokes of a letter of height 1: lines between neighbours; a point of x < 0 lifts the pen. */
static const struct point letter_r[] = {{0, 1},    {0, 0},     {.4, 0}, {.55, .1}, {.55, .4},
                                        {.4, .5},  {0, .5},    {-1, 0}, {.3, .5},  {.6, 1}};
static const struct point letter_l[] = {{0, 0}, {0, 1}, {.55, 1}};

static const struct letter {
    const struct point *points;
    int n;
    double x; /* of its left edge, from the side of the picture that it stands on */
    bool right;
} letters[] = {{letter_r, sizeof(letter_r) / sizeof(*letter_r), 0.05, false},
               {letter_l, sizeof(letter_l) / sizeof(*letter_l), 0.05, true}};

static double distance_to(struct point a, struct point b, double x, double y)
{
    double dx = b.x - a.x, dy = b.y - a.y;
    double t = ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy);
    t = fmin(fmax(t, 0), 1);
    return hypot(x - a.x - t * dx, y - a.y - t * dy);
}

/* From the letter's strokes, in its own units. */
static double distance_of(const struct letter *letter, double x, double y)
{
    double least = INFINITY;
    for (int i = 1; i < letter->n; i++)
        if (letter->points[i].x >= 0 && letter->points[i - 1].x >= 0)
            least = fmin(least, distance_to(letter->points[i - 1], letter->points[i], x, y));
    return least;
}

static enum sal_status alter_marker(const struct sal_canvas *canvas,
                                    const struct sal_alteration *how, const float *from,
                                    float *to, struct sal_error *err)
{
    (void)err;
    const int h = canvas->height, w = canvas->width;
    const struct letter *letter = &letters[how->axis];
    const double size = how->setting * h, half_stroke = 0.07 * size;
    const double top = 0.05 * h,
                 left = letter->right ? (1 - letter->x) * w - 0.6 * size : letter->x * w;
    memcpy(to, from, (size_t)canvas->planes * h * w * sizeof(*to));
    for (int64_t i = 0; i < (int64_t)canvas->planes * h * w && size > 0; i++) {
        double y = (double)(i / w % h) + 0.5 - top, x = (double)(i % w) + 0.5 - left;
        if (y < -size || y > 2 * size || x < -size || x > 2 * size)
            continue;
        double off = distance_of(letter, x / size, y / size) * size;
        double ink = fmin(fmax(half_stroke + 0.5 - off, 0), 1) * fmin(2 * half_stroke, 1);
        to[i] = (float)((double)from[i] + ink * (1 - (double)from[i]));
    }
    return SAL_OK;
}

static const struct sal_param marker_params[] =
    SAL_CORRUPTION_PARAMS(0, 0, 1, "of the height", "height of the letter; 0: by severity");

const struct sal_corruption sal_corruption_marker = {
    .probe = {.name = "marker",
              .title = "Marker of the side",
              .formula = "a white R at the upper left, or L at the upper right, as burnt in",
              .paper = "after the characters of MedMNIST-C (Di Salvo et al. 2024, "
                       "arXiv:2406.17536); severities are ours",
              .params = marker_params,
              .run = sal_corruption_run},
    .ways = {{"R", 0, {{.04, .06, .08, .1, .12}}}, {"L", 1, {{.04, .06, .08, .1, .12}}}},
    .n_ways = 2,
    .alter = alter_marker,
};
