/* Where the picture lies: a patient who stands aslant, a detector that is not centred. */
#include <math.h>

#include "corruption.h"

static double at(const float *plane, int h, int w, int y, int x)
{
    y = y < 0 ? 0 : y >= h ? h - 1 : y;
    x = x < 0 ? 0 : x >= w ? w - 1 : x;
    return (double)plane[(int64_t)y * w + x];
}

/* What lies between the last row or column and far beyond is the edge. */
static double sample(const float *plane, int h, int w, double y, double x)
{
    y = fmin(fmax(y, -1), h);
    x = fmin(fmax(x, -1), w);
    int top = (int)floor(y), left = (int)floor(x);
    double down = y - top, right = x - left;
    double above = (1 - right) * at(plane, h, w, top, left) +
                   right * at(plane, h, w, top, left + 1);
    double below = (1 - right) * at(plane, h, w, top + 1, left) +
                   right * at(plane, h, w, top + 1, left + 1);
    return (1 - down) * above + down * below;
}

void sal_canvas_place(const struct sal_canvas *canvas, struct sal_place place, const float *from,
                      float *to)
{
    const double half_turn = 3.14159265358979323846;
    const int h = canvas->height, w = canvas->width;
    const double turn = place.degrees * half_turn / 180, middle_y = (h - 1) / 2.0,
                 middle_x = (w - 1) / 2.0;
    const double along = cos(turn) / place.zoom, across = sin(turn) / place.zoom;
    for (int k = 0; k < canvas->planes; k++) {
        const float *plane = from + (int64_t)k * h * w;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                double dy = y - middle_y - place.down * h, dx = x - middle_x - place.right * w;
                to[((int64_t)k * h + y) * w + x] =
                    (float)sample(plane, h, w, middle_y + across * dx + along * dy,
                                  middle_x + along * dx - across * dy);
            }
    }
}

/* ---- rotate ---------------------------------------------------------------------- */

static enum sal_status alter_rotate(const struct sal_canvas *canvas,
                                    const struct sal_alteration *how, const float *from,
                                    float *to, struct sal_error *err)
{
    (void)err;
    sal_canvas_place(canvas, (struct sal_place){.degrees = how->setting, .zoom = 1}, from, to);
    return SAL_OK;
}

static const struct sal_param rotate_params[] =
    SAL_CORRUPTION_PARAMS(0, -180, 180, "degrees", "counter-clockwise; 0: by severity");

const struct sal_corruption sal_corruption_rotate = {
    .probe = {.name = "rotate",
              .title = "Rotation",
              .formula = "about the middle, bilinear, the edge repeated beyond it",
              .paper = "severities are ours",
              .params = rotate_params,
              .run = sal_corruption_run},
    .ways = {{"left", 0, {{2, 4, 6, 8, 10}}}, {"right", 0, {{-2, -4, -6, -8, -10}}}},
    .n_ways = 2,
    .alter = alter_rotate,
};

/* ---- shift ----------------------------------------------------------------------- */

static enum sal_status alter_shift(const struct sal_canvas *canvas,
                                   const struct sal_alteration *how, const float *from, float *to,
                                   struct sal_error *err)
{
    (void)err;
    struct sal_place place = {.zoom = 1};
    *(how->axis ? &place.down : &place.right) = how->setting;
    sal_canvas_place(canvas, place, from, to);
    return SAL_OK;
}

static const struct sal_param shift_params[] = SAL_CORRUPTION_PARAMS(
    0, -1, 1, "of the side", "right and down, negative left and up; 0: by severity");

const struct sal_corruption sal_corruption_shift = {
    .probe = {.name = "shift",
              .title = "Shift",
              .formula = "by a share of the width or height, bilinear, the edge repeated beyond it",
              .paper = "severities are ours",
              .params = shift_params,
              .run = sal_corruption_run},
    .ways = {{"right", 0, {{.02, .04, .06, .08, .1}}},
             {"left", 0, {{-.02, -.04, -.06, -.08, -.1}}},
             {"down", 1, {{.02, .04, .06, .08, .1}}},
             {"up", 1, {{-.02, -.04, -.06, -.08, -.1}}}},
    .n_ways = 4,
    .alter = alter_shift,
};

/* ---- scale ----------------------------------------------------------------------- */

static enum sal_status alter_scale(const struct sal_canvas *canvas,
                                   const struct sal_alteration *how, const float *from, float *to,
                                   struct sal_error *err)
{
    (void)err;
    sal_canvas_place(canvas, (struct sal_place){.zoom = how->setting}, from, to);
    return SAL_OK;
}

static const struct sal_param scale_params[] =
    SAL_CORRUPTION_PARAMS(1, 0.1, 10, "", "factor of the size; 1: by severity");

const struct sal_corruption sal_corruption_scale = {
    .probe = {.name = "scale",
              .title = "Scale",
              .formula = "about the middle, bilinear, the edge repeated beyond it",
              .paper = "severities are ours",
              .params = scale_params,
              .run = sal_corruption_run},
    .neutral = 1,
    .gentle = 1,
    .ways = {{"smaller", 0, {{.96, .92, .88, .84, .8}}},
             {"larger", 0, {{1.04, 1.08, 1.12, 1.16, 1.2}}}},
    .n_ways = 2,
    .alter = alter_scale,
};
