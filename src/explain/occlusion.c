/* Occlusion with Captum's semantics: windows begin at multiples of the stride, the last
 * ones are cut off at the edge (never moved back), all channels are replaced at once, and
 * a pixel gets the mean of score(x) - score(x with a window replaced) over the windows
 * that cover it. Windows that the baseline would not change are known without a pass.
 * MONAI moves the last ones back inside (edge=inside), hides with a Gaussian and weighs by
 * one (fade=yes), and shows the score itself (tell=score), for which low is important. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "fade.h"
#include "inpaint.h"
#include "methods.h"
#include "sweep.h"

enum { SIDE_MAX = 4096, AUTOMATIC = 7 /* windows beside each other */ };
enum { WINDOW, STRIDE, TRIM, WHOLE, EDGE, FADE, TELL }; /* rows of the parameters */
enum tell { DIFFERENCE, SCORE, SIGMOID };

static const char *const edges[] = {"cut", "inside", NULL};
static const char *const tells[] = {"difference", "score", "sigmoid", NULL};

static const struct sal_param params[] = {
    [WINDOW] = {.name = "window",
                .type = SAL_PARAM_INT,
                .fallback = 0,
                .max = SIDE_MAX,
                .unit = "px",
                .help = "side of the square that is replaced; 0: a seventh of the shorter "
                        "side"},
    [STRIDE] = {.name = "stride",
                .type = SAL_PARAM_INT,
                .fallback = 0,
                .max = SIDE_MAX,
                .unit = "px",
                .help = "from one square to the next, at most its side; 0: half of it"},
    [TRIM] = {.name = "trim",
              .type = SAL_PARAM_REAL,
              .fallback = 0,
              .max = 1,
              .unit = "",
              .help = "changes of activations up to this share of their root mean square "
                      "end at the edge of a box: faster, and how exact is measured; 0: exact"},
    [WHOLE] = {.name = "whole",
               .type = SAL_PARAM_BOOL,
               .fallback = 0,
               .max = 1,
               .unit = "",
               .help = "compute all of every forward, not only what a window can change"},
    [EDGE] = {.name = "edge",
              .type = SAL_PARAM_CHOICE,
              .fallback = 0,
              .unit = "",
              .choices = edges,
              .help = "what becomes of squares that reach beyond the edge: cut off, or moved "
                      "back inside"},
    [FADE] = {.name = "fade",
              .type = SAL_PARAM_BOOL,
              .fallback = 0,
              .max = 1,
              .unit = "",
              .help = "squares that hide by a Gaussian, whole in the middle, and count by one "
                      "where they overlap, as in MONAI"},
    [TELL] = {.name = "tell",
              .type = SAL_PARAM_CHOICE,
              .fallback = DIFFERENCE,
              .unit = "",
              .choices = tells,
              .help = "how much the score falls, or what it is with the square hidden, or the "
                      "sigmoid of that: there low values are important"},
    SAL_BASELINE_HOLE_PARAMS,
    {0},
};

struct patches {
    const struct sal_question *question;
    const struct sal_model_input *input;
    sal_real *baseline;
    bool inpaints; /* the baseline is where in-painting begins */
    int window, stride, rows, columns;
    bool inside;          /* no window reaches beyond the edge */
    struct sal_fade fade; /* without tables: windows are replaced whole */
    enum tell tell;
    int64_t *changing; /* the windows that need a pass, scattered */
    int64_t n_changing;
    double *sum;    /* [height][width], of differences */
    double *count;  /* [height][width], of windows, or of what they count */
    double score;   /* with nothing replaced; what is told of it */
    double raw;     /* the score itself */
};

/* Window number k, cut off at the edge. */
struct window {
    int top, left, bottom, right;
};

static int start_of(const struct patches *p, int64_t k, int length)
{
    int start = (int)k * p->stride;
    return p->inside && start > length - p->window ? length - p->window : start;
}

static struct window window_of(const struct patches *p, int64_t k)
{
    struct window w = {.top = start_of(p, k / p->columns, p->input->height),
                       .left = start_of(p, k % p->columns, p->input->width)};
    w.bottom = w.top + p->window < p->input->height ? w.top + p->window : p->input->height;
    w.right = w.left + p->window < p->input->width ? w.left + p->window : p->input->width;
    return w;
}

/* ---- passes ----------------------------------------------------------------------------- */

/* Input 0 has nothing replaced. */
static void make(const void *context, int64_t i, sal_real *x)
{
    const struct patches *p = context;
    memcpy(x, p->question->x,
           (size_t)sal_input_elements(p->question->model) * sizeof(*x));
    if (i == 0)
        return;
    struct window w = window_of(p, p->changing[i - 1]);
    for (int c = 0; c < p->input->channels; c++)
        for (int row = w.top; row < w.bottom; row++)
            for (int column = w.left; column < w.right; column++) {
                int64_t pixel = (int64_t)row * p->input->width + column;
                int64_t at = sal_input_place(p->input, c, pixel);
                sal_real shown = 0;
                if (p->fade.shown)
                    shown = (sal_real)p->fade.shown[(row - w.top) * p->window + column - w.left];
                x[at] = p->baseline[at] + shown * (x[at] - p->baseline[at]);
            }
    if (p->inpaints)
        sal_inpaint(p->input, w.top, w.left, w.bottom, w.right, x);
}

static void add_window(struct patches *p, int64_t k, double difference)
{
    struct window w = window_of(p, k);
    for (int row = w.top; row < w.bottom; row++)
        for (int column = w.left; column < w.right; column++) {
            int64_t pixel = (int64_t)row * p->input->width + column;
            double weight = 1;
            if (p->fade.weight)
                weight = p->fade.weight[(row - w.top) * p->window + column - w.left];
            p->sum[pixel] += weight * difference;
            p->count[pixel] += weight;
        }
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)gradient;
    struct patches *p = context;
    if (i == 0)
        p->raw = score;
    if (p->tell == SIGMOID)
        score = 1 / (1 + exp(-score));
    if (i == 0)
        p->score = score;
    else
        add_window(p, p->changing[i - 1], p->score - score);
}

/* ---- windows ---------------------------------------------------------------------------- */

static int windows_along(int length, int window, int stride)
{
    return length > window ? (length - window + stride - 1) / stride + 1 : 1;
}

static enum sal_status choose_windows(struct patches *p, struct sal_error *err)
{
    int height = p->input->height, width = p->input->width;
    int shorter = height < width ? height : width;
    p->window = (int)p->question->params->value[WINDOW];
    p->stride = (int)p->question->params->value[STRIDE];
    if (!p->window)
        p->window = shorter > AUTOMATIC ? shorter / AUTOMATIC : 1;
    if (!p->stride)
        p->stride = (p->window + 1) / 2;
    if (p->window > shorter)
        return sal_fail(err, SAL_USAGE, "occlusion: window=%d is larger than the model's "
                                        "input, %d x %d",
                        p->window, width, height);
    if (p->stride > p->window)
        return sal_fail(err, SAL_USAGE, "occlusion: stride=%d would leave gaps between "
                                        "windows of %d; at most %d",
                        p->stride, p->window, p->window);
    p->rows = windows_along(height, p->window, p->stride);
    p->columns = windows_along(width, p->window, p->stride);
    return SAL_OK;
}

static bool changes(const struct patches *p, int64_t k)
{
    struct window w = window_of(p, k);
    if (p->inpaints)
        return true;
    for (int c = 0; c < p->input->channels; c++)
        for (int row = w.top; row < w.bottom; row++)
            for (int column = w.left; column < w.right; column++) {
                int64_t pixel = (int64_t)row * p->input->width + column;
                int64_t at = sal_input_place(p->input, c, pixel);
                if (p->question->x[at] != p->baseline[at])
                    return true;
            }
    return false;
}

static void sort_out(struct patches *p)
{
    int64_t n = (int64_t)p->rows * p->columns;
    for (int64_t i = 0; i < n; i++) {
        int64_t k = sal_sweep_scatter(i, n);
        if (changes(p, k))
            p->changing[p->n_changing++] = k;
        else
            add_window(p, k, 0);
    }
}

static enum sal_status allocate(struct patches *p, struct sal_error *err)
{
    size_t pixels = (size_t)p->input->height * (size_t)p->input->width;
    p->changing = calloc((size_t)p->rows * (size_t)p->columns, sizeof(*p->changing));
    p->sum = calloc(pixels, sizeof(*p->sum));
    p->count = calloc(pixels, sizeof(*p->count));
    if (!p->changing || !p->sum || !p->count)
        return sal_fail(err, SAL_LIMIT, "no memory for %d x %d windows", p->columns,
                        p->rows);
    p->inpaints = sal_baseline_inpaints(p->question, params);
    return sal_baseline_make(p->question, params, &p->baseline, err);
}

/* ---- the map ------------------------------------------------------------------------------ */

static double range_of(const struct sal_map *map)
{
    double low = (double)map->values[0], high = low;
    for (int64_t i = 1; i < (int64_t)map->width * map->height; i++) {
        low = fmin(low, (double)map->values[i]);
        high = fmax(high, (double)map->values[i]);
    }
    return high - low;
}

/* Scores are compared with that of input 0, so that their errors' difference counts. */
static void tell_error(const struct patches *p, const struct sal_sweep *sweep,
                       struct sal_map *map)
{
    const struct sal_probes *probes = &sweep->probes;
    if (!probes->n)
        return;
    double spread = sal_probes_spread(probes);
    double share = spread > 0 ? spread / range_of(map) : 0;
    map->score = probes->f32[0];
    if (p->question->precision != SAL_F32)
        sal_probes_tell(probes, p->question->model, share, map);
    else
        sal_probes_tell_trim(probes, p->question->model, share, map);
}

static enum sal_status finish(const struct patches *p, const struct sal_sweep *sweep,
                              struct sal_map *map, struct sal_error *err)
{
    int64_t done = sweep->done - 1;
    int width = p->input->width, height = p->input->height;
    int64_t windows = (int64_t)p->rows * p->columns;
    enum sal_status status = sal_map_init(map, width, height, width, height, err);
    if (status)
        return status;
    for (int64_t i = 0; i < (int64_t)height * width; i++)
        if (p->count[i] > 0) {
            double fall = p->sum[i] / p->count[i];
            double value = p->tell == DIFFERENCE ? fall : p->score - fall;
            map->values[i] = map->grid[i] = (float)value;
        }
    map->score = p->raw;
    map->partial = done < p->n_changing;
    map->params.value[WINDOW] = p->window;
    map->params.value[STRIDE] = p->stride;
    sal_map_check(map, "windows", "windows", (double)windows, "");
    sal_map_check(map, "windows_skipped", "that change nothing",
                  (double)(windows - p->n_changing), "");
    if (sweep->local && p->n_changing)
        sal_map_check(map, "computed_percent", "computed", 100 * sweep->share,
                      "% of whole forwards");
    if (map->partial)
        snprintf(map->note, sizeof(map->note),
                 "%lld of %lld windows so far; 0 where there was none yet",
                 (long long)(windows - p->n_changing + done), (long long)windows);
    else if (!p->n_changing)
        snprintf(map->note, sizeof(map->note),
                 "the baseline is the image itself: no window changes anything");
    else if (p->tell != DIFFERENCE)
        snprintf(map->note, sizeof(map->note),
                 "the score with the window hidden: what counts most is lowest");
    return SAL_OK;
}

static enum sal_status preview(void *context, const struct sal_sweep *sweep,
                               struct sal_map *map, struct sal_error *err)
{
    return finish(context, sweep, map, err);
}

static enum sal_status cover(struct patches *p, struct sal_map *map, struct sal_error *err)
{
    sort_out(p);
    const double *value = p->question->params->value;
    struct sal_sweep sweep = {.n = p->n_changing + 1,
                              .context = p,
                              .make = make,
                              .take = take,
                              .preview = preview,
                              .local = value[WHOLE] == 0,
                              .trim = value[TRIM]};
    enum sal_status status = sal_sweep_run(&sweep, p->question, map, err);
    if (status == SAL_CANCELLED && sweep.done > 1)
        status = SAL_OK;
    if (!status)
        status = finish(p, &sweep, map, err);
    if (!status)
        tell_error(p, &sweep, map);
    return status;
}

static enum sal_status occlusion(const struct sal_question *question, struct sal_map *map,
                                 struct sal_error *err)
{
    const double *value = question->params->value;
    struct patches p = {.question = question,
                        .input = sal_model_input(question->model),
                        .inside = value[EDGE] != 0,
                        .tell = (enum tell)value[TELL]};
    map->is_signed = p.tell == DIFFERENCE;
    map->unit = p.tell == SIGMOID ? "sigmoid of the score"
                                  : sal_unit_name(question->model, SAL_UNIT_SCORE);
    enum sal_status status = choose_windows(&p, err);
    if (!status && value[FADE] != 0)
        status = sal_fade_init(&p.fade, p.window, err);
    if (!status)
        status = allocate(&p, err);
    if (!status)
        status = cover(&p, map, err);
    sal_fade_release(&p.fade);
    free(p.baseline);
    free(p.changing);
    free(p.sum);
    free(p.count);
    return status;
}

const struct sal_method sal_method_occlusion = {
    .name = "occlusion",
    .title = "Occlusion",
    .formula = "mean over windows of score(x) - score(x with the window replaced)",
    .paper = "Zeiler and Fergus, ECCV 2014, arXiv:1311.2901",
    .semantics = "Captum's: differences of logits, windows from the top left, cut off at "
                 "the edge, averaged where they overlap; libraries that sum them favour "
                 "the middle of the picture. Window and stride, which Captum leaves to "
                 "the caller, are a seventh of the shorter side and half of that",
    .needs = SAL_SWEEPS,
    .params = params,
    .run = occlusion,
};
