/* Blur integrated gradients: the way to x leads through its own blurs, from one of
 * `sigma` pixels to none, so that no baseline has to be chosen; a pixel gets
 *     - sum over steps of (sigma_{i+1} - sigma_i) d x_sigma / d sigma  d score / d x_sigma
 * at sigma_i. As in PAIR's saliency, in the model's input: steps begin at sigma_0 = 0; the
 * Gaussian is cut off at 4 sigma, rounded; beyond the edges there are zeros; the change
 * with sigma is (blur(sigma + difference) - blur(sigma)) / difference, worked out here
 * from differences D of weights, where nothing cancels: of weights W along columns and V
 * along rows, (W + D) X (V + E)^T - W X V^T = D X V^T + W X E^T + D X E^T. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../engine/blas.h"
#include "completeness.h"
#include "methods.h"
#include "sweep.h"

enum { STEPS_MAX = 2000, SLOTS_LEAST = 8, ENDS = 2, PLANES = 4 };

static const struct sal_param params[] = {
    {.name = "steps",
     .type = SAL_PARAM_INT,
     .fallback = 100,
     .min = 1,
     .max = STEPS_MAX,
     .unit = "",
     .help = "gradients on the way from the blurred image to the image"},
    {.name = "sigma",
     .type = SAL_PARAM_REAL,
     .fallback = 50,
     .min = 0.1,
     .max = 1000,
     .unit = "px",
     .help = "of the strongest blur, in pixels of the model's input"},
    {.name = "difference",
     .type = SAL_PARAM_REAL,
     .fallback = 0.01,
     .min = 1e-4,
     .max = 1,
     .unit = "px",
     .help = "of two blurs that tell how the image changes"},
    {.name = "sqrt",
     .type = SAL_PARAM_BOOL,
     .fallback = 0,
     .max = 1,
     .unit = "",
     .help = "steps are even in sigma^2, and go to sqrt(sigma)"},
    {0},
};

/* What one input that is under way needs. */
struct slot {
    sal_real *change;                 /* [channels][pixels]: of x with sigma */
    sal_real *rows, *more_rows;       /* [height][height]: weights, and their change */
    sal_real *columns, *more_columns; /* [width][width] */
    sal_real *plane, *half, *now, *second; /* [pixels]: PLANES of them */
};

struct blurs {
    const struct sal_question *question;
    const struct sal_model_input *input;
    int64_t pixels;
    int steps, n_slots;
    double most, difference;
    bool roots;
    sal_real *room; /* of all slots */
    size_t slot_size;
    double *sum; /* [elements]: products so far, in the layout of x */
    double done; /* of sigma, what the steps so far are worth */
    double ends[ENDS]; /* the scores of x and of its strongest blur */
};

/* ---- blurs --------------------------------------------------------------------------- */

static double sigma_of(const struct blurs *b, int step)
{
    double share = step * b->most / b->steps;
    return b->roots ? sqrt(share) : share;
}

/* Weights by distance; cut off where scipy does. */
struct gaussian {
    double sigma, sum;
    int radius;
};

static double bell(const struct gaussian *g, int distance)
{
    double at = distance ? distance / g->sigma : 0;
    return distance > g->radius ? 0 : exp(-0.5 * at * at);
}

static struct gaussian gaussian_of(double sigma)
{
    struct gaussian g = {sigma, 1, (int)(4 * sigma + 0.5)};
    for (int k = 1; k <= g.radius; k++)
        g.sum += 2 * bell(&g, k);
    return g;
}

/* Row i of weights[n][n] says what a blur makes of position i, and that of change how
 * that changes with sigma. */
static void fill_weights(const struct blurs *b, double sigma, int n, sal_real *weights,
                         sal_real *change)
{
    struct gaussian low = gaussian_of(sigma), high = gaussian_of(sigma + b->difference);
    for (int d = 0; d < n; d++) {
        double own = bell(&low, d) / low.sum;
        double more = (bell(&high, d) / high.sum - own) / b->difference;
        for (int64_t i = 0; i + d < n; i++) {
            weights[(i + d) * n + i] = weights[i * n + i + d] = (sal_real)own;
            change[(i + d) * n + i] = change[i * n + i + d] = (sal_real)more;
        }
    }
}

/* to = rows plane columns^T, or that added to it. */
static void blur_plane(const struct blurs *b, const struct slot *slot, const sal_real *rows,
                       const sal_real *columns, bool add, sal_real *to)
{
    int64_t h = b->input->height, w = b->input->width;
    sal_gemm(h, w, h, 1, (struct sal_matrix){rows, h, false},
             (struct sal_matrix){slot->plane, w, false}, 0, slot->half, w);
    sal_gemm(h, w, w, 1, (struct sal_matrix){slot->half, w, false},
             (struct sal_matrix){columns, w, true}, add, to, w);
}

/* The blur of x into blurred, and its change with sigma into the slot. */
static void blur_image(const struct blurs *b, const struct slot *slot, double sigma,
                       sal_real *blurred)
{
    const sal_real *x = b->question->x;
    sal_real *now = slot->now;
    fill_weights(b, sigma, b->input->height, slot->rows, slot->more_rows);
    fill_weights(b, sigma, b->input->width, slot->columns, slot->more_columns);
    for (int c = 0; c < b->input->channels; c++) {
        sal_real *change = slot->change + c * b->pixels;
        for (int64_t i = 0; i < b->pixels; i++)
            slot->plane[i] = x[sal_input_place(b->input, c, i)];
        blur_plane(b, slot, slot->rows, slot->columns, false, now);
        blur_plane(b, slot, slot->more_rows, slot->columns, false, change);
        blur_plane(b, slot, slot->rows, slot->more_columns, true, change);
        blur_plane(b, slot, slot->more_rows, slot->more_columns, false, slot->second);
        for (int64_t i = 0; i < b->pixels; i++) {
            change[i] += (sal_real)b->difference * slot->second[i];
            blurred[sal_input_place(b->input, c, i)] = now[i];
        }
    }
}

/* ---- passes -------------------------------------------------------------------------- */

/* Inputs 0 and 1 are the ends: x itself, which is step 0 as well, and its strongest blur;
 * then steps 1 ... scattered. */
static int step_of(const struct blurs *b, int64_t i)
{
    return i == 0   ? 0
           : i == 1 ? b->steps
                    : 1 + (int)sal_sweep_scatter(i - ENDS, b->steps - 1);
}

static struct slot slot_of(const struct blurs *b, int64_t i)
{
    int64_t h = b->input->height, w = b->input->width;
    sal_real *at = b->room + (size_t)(i % b->n_slots) * b->slot_size;
    struct slot slot = {.change = at};
    slot.rows = at + b->input->channels * b->pixels;
    slot.more_rows = slot.rows + h * h;
    slot.columns = slot.more_rows + h * h;
    slot.more_columns = slot.columns + w * w;
    slot.plane = slot.more_columns + w * w;
    slot.half = slot.plane + b->pixels;
    slot.now = slot.half + b->pixels;
    slot.second = slot.now + b->pixels;
    return slot;
}

static void make(const void *context, int64_t i, sal_real *x)
{
    const struct blurs *b = context;
    struct slot slot = slot_of(b, i);
    blur_image(b, &slot, sigma_of(b, step_of(b, i)), x);
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    struct blurs *b = context;
    struct slot slot = slot_of(b, i);
    int step = step_of(b, i);
    if (i == 0)
        b->ends[0] = score;
    if (i == 1) {
        b->ends[1] = score;
        return;
    }
    double length = sigma_of(b, step + 1) - sigma_of(b, step);
    b->done += length;
    for (int c = 0; c < b->input->channels; c++)
        for (int64_t k = 0; k < b->pixels; k++) {
            int64_t at = sal_input_place(b->input, c, k);
            b->sum[at] -= length * (double)slot.change[c * b->pixels + k] * (double)gradient[at];
        }
}

/* ---- the map ------------------------------------------------------------------------- */

static enum sal_status finish(const struct blurs *b, int64_t done, struct sal_map *map,
                              struct sal_error *err)
{
    map->partial = done < b->steps + 1;
    double scale = map->partial ? sigma_of(b, b->steps) / b->done : 1;
    struct sal_completeness sum = {b->ends[0], b->ends[1], 0};
    int64_t n = sal_input_elements(b->question->model);
    for (int64_t k = 0; k < n; k++)
        sum.total += b->sum[k] * scale;
    map->score = b->ends[0];
    sal_completeness_tell(&sum, "blurred image's score", map);
    if (map->partial)
        snprintf(map->note, sizeof(map->note), "%d of %d steps so far",
                 (int)done - 1, b->steps);
    else
        sal_completeness_note(&sum, "more steps may come closer", map);
    return sal_map_from_input(map, b->question->model, b->sum, scale, err);
}

static enum sal_status walk(struct blurs *b, struct sal_map *map, struct sal_error *err)
{
    struct sal_sweep sweep = {
        .n = b->steps + 1, .gradient = true, .context = b, .make = make, .take = take};
    enum sal_status status = sal_sweep_run(&sweep, b->question, map, err);
    if (status == SAL_CANCELLED && sweep.done > ENDS)
        status = SAL_OK;
    return status ? status : finish(b, sweep.done, map, err);
}

static enum sal_status allocate(struct blurs *b, struct sal_error *err)
{
    size_t h = (size_t)b->input->height, w = (size_t)b->input->width;
    size_t planes = (size_t)b->input->channels + PLANES;
    b->n_slots = b->question->batch > SLOTS_LEAST ? b->question->batch : SLOTS_LEAST;
    b->slot_size = planes * h * w + 2 * (h * h + w * w);
    b->sum = calloc((size_t)sal_input_elements(b->question->model), sizeof(*b->sum));
    b->room = calloc(b->slot_size, (size_t)b->n_slots * sizeof(*b->room));
    return b->sum && b->room ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for a map");
}

static enum sal_status blurig(const struct sal_question *question, struct sal_map *map,
                              struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    struct blurs b = {
        .question = question,
        .input = input,
        .pixels = (int64_t)input->height * input->width,
        .steps = (int)sal_params_get(question->params, params, "steps"),
        .most = sal_params_get(question->params, params, "sigma"),
        .difference = sal_params_get(question->params, params, "difference"),
        .roots = sal_params_get(question->params, params, "sqrt") != 0};
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    enum sal_status status = allocate(&b, err);
    if (!status)
        status = walk(&b, map, err);
    free(b.sum);
    free(b.room);
    return status;
}

const struct sal_method sal_method_blurig = {
    .name = "blurig",
    .title = "Blur integrated gradients",
    .formula = "- sum_i (s_{i+1} - s_i) d blur(x, s) / d s * d score / d blur(x, s) at s_i, "
               "summed over channels",
    .paper = "Xu et al., CVPR 2020, arXiv:2004.03383",
    .semantics = "PAIR's: 100 steps to 50 pixels, Gaussians cut off at 4 sigma with "
                 "zeros beyond the edges, first step included, so that maps agree with "
                 "the authors'",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = blurig,
};
