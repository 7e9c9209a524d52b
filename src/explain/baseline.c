#include "baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "saliscope/random.h"

#define NAMES "zero", "black", "white", "mean", "blur", "noise", "value"

const char *const sal_baseline_names[] = {NAMES, NULL};
const char *const sal_baseline_hole_names[] = {NAMES, "inpaint", NULL};

struct making {
    const struct sal_question *question;
    const struct sal_model_input *input;
    const struct sal_preprocessing *spec;
    double value, sigma;
    uint64_t stream; /* of the noise */
    sal_real *out;
};

static int64_t pixels_of(const struct making *m)
{
    return (int64_t)m->input->height * m->input->width;
}

double sal_baseline_shade(const struct sal_preprocessing *spec, int c, double share)
{
    const double *range = spec->range;
    return (range[0] + share * (range[1] - range[0]) - spec->mean[c]) / spec->std[c];
}

static double level(const struct making *m, int c, double share)
{
    return sal_baseline_shade(m->spec, c, share);
}

static void fill_channel(const struct making *m, int c, double value)
{
    int64_t n = pixels_of(m);
    for (int64_t i = 0; i < n; i++)
        m->out[sal_input_place(m->input, c, i)] = (sal_real)value;
}

static bool fill_value(const struct making *m)
{
    for (int c = 0; c < m->input->channels; c++)
        fill_channel(m, c, m->value);
    return true;
}

static bool fill_zero(const struct making *m)
{
    for (int c = 0; c < m->input->channels; c++)
        fill_channel(m, c, 0);
    return true;
}

static bool fill_black(const struct making *m)
{
    for (int c = 0; c < m->input->channels; c++)
        fill_channel(m, c, level(m, c, 0));
    return true;
}

static bool fill_white(const struct making *m)
{
    for (int c = 0; c < m->input->channels; c++)
        fill_channel(m, c, level(m, c, 1));
    return true;
}

static bool fill_mean(const struct making *m)
{
    int64_t n = pixels_of(m);
    for (int c = 0; c < m->input->channels; c++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)m->question->x[sal_input_place(m->input, c, i)];
        fill_channel(m, c, sum / (double)n);
    }
    return true;
}

/* What is grey in the image is grey in the noise. */
static bool fill_noise(const struct making *m)
{
    uint64_t key = sal_random_key(m->question->seed, m->stream);
    int64_t n = pixels_of(m);
    bool grey = m->spec->channels == SAL_GRAY || m->spec->channels == SAL_GRAY3;
    for (int c = 0; c < m->input->channels; c++)
        for (int64_t i = 0; i < n; i++) {
            uint64_t number = (uint64_t)(grey ? i : c * n + i);
            double share = sal_random_uniform(key, number);
            m->out[sal_input_place(m->input, c, i)] = (sal_real)level(m, c, share);
        }
    return true;
}

/* ---- blur ------------------------------------------------------------------------------ */

/* n values, `step` apart, smoothed by 2 radius + 1 weights; ends are continued. */
static void smooth_line(const double *from, double *to, int n, int step,
                        const double *weights, int radius)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int k = -radius; k <= radius; k++) {
            int at = i + k < 0 ? 0 : i + k >= n ? n - 1 : i + k;
            sum += weights[k + radius] * from[(int64_t)at * step];
        }
        to[(int64_t)i * step] = sum;
    }
}

static void gaussian(double *weights, int radius, double sigma)
{
    double sum = 0;
    for (int k = -radius; k <= radius; k++)
        sum += weights[k + radius] = exp(-0.5 * k * k / (sigma * sigma));
    for (int k = 0; k <= 2 * radius; k++)
        weights[k] /= sum;
}

/* a, b: room for a plane. */
static void blur_channel(const struct making *m, int c, const double *weights, int radius,
                         double *a, double *b)
{
    int width = m->input->width, height = m->input->height;
    int64_t n = pixels_of(m);
    for (int64_t i = 0; i < n; i++)
        a[i] = (double)m->question->x[sal_input_place(m->input, c, i)];
    for (int y = 0; y < height; y++)
        smooth_line(a + (int64_t)y * width, b + (int64_t)y * width, width, 1, weights,
                    radius);
    for (int x = 0; x < width; x++)
        smooth_line(b + x, a + x, height, width, weights, radius);
    for (int64_t i = 0; i < n; i++)
        m->out[sal_input_place(m->input, c, i)] = (sal_real)a[i];
}

static bool fill_blur(const struct making *m)
{
    int radius = (int)ceil(3 * m->sigma);
    size_t n = (size_t)pixels_of(m);
    double *room = calloc(2 * n + 2 * (size_t)radius + 1, sizeof(*room));
    if (!room)
        return false;
    gaussian(room + 2 * n, radius, m->sigma);
    for (int c = 0; c < m->input->channels; c++)
        blur_channel(m, c, room + 2 * n, radius, room, room + n);
    free(room);
    return true;
}

/* ---- by name ----------------------------------------------------------------------------- */

/* In the order of the names; in-painting begins with the mean. */
static bool (*const fill[])(const struct making *m) = {fill_zero, fill_black, fill_white,
                                                       fill_mean, fill_blur,  fill_noise,
                                                       fill_value, fill_mean};

static enum sal_status make_kind(const struct sal_question *question,
                                 const struct sal_param *list, int kind, sal_real **baseline,
                                 struct sal_error *err)
{
    const struct sal_params *params = question->params;
    size_t n = (size_t)sal_input_elements(question->model);
    struct making m = {.question = question,
                       .input = sal_model_input(question->model),
                       .spec = sal_model_preprocessing(question->model),
                       .value = sal_params_get(params, list, "value"),
                       .sigma = sal_params_get(params, list, "sigma"),
                       .stream = UINT64_MAX,
                       .out = calloc(n, sizeof(sal_real))};
    if (m.out && fill[kind](&m)) {
        *baseline = m.out;
        return SAL_OK;
    }
    free(m.out);
    return sal_fail(err, SAL_LIMIT, "no memory for a baseline");
}

enum sal_status sal_baseline_make(const struct sal_question *question,
                                  const struct sal_param *list, sal_real **baseline,
                                  struct sal_error *err)
{
    int kind = (int)sal_params_get(question->params, list, "baseline");
    return make_kind(question, list, kind, baseline, err);
}

enum sal_status sal_baseline_each(const struct sal_question *question,
                                  const struct sal_param *list,
                                  enum sal_status (*visit)(void *context,
                                                           const sal_real *baseline,
                                                           struct sal_error *err),
                                  void *context, int *n, struct sal_error *err)
{
    unsigned long kinds = (unsigned long)sal_params_get(question->params, list, "baseline");
    enum sal_status status = SAL_OK;
    *n = 0;
    for (int kind = 0; sal_baseline_names[kind]; kind++)
        *n += (int)(kinds >> kind & 1);
    for (int kind = 0; sal_baseline_names[kind] && !status; kind++) {
        sal_real *baseline = NULL;
        if (!(kinds >> kind & 1))
            continue;
        status = make_kind(question, list, kind, &baseline, err);
        if (!status)
            status = visit(context, baseline, err);
        free(baseline);
    }
    return status;
}

bool sal_baseline_inpaints(const struct sal_question *question, const struct sal_param *list)
{
    int kind = (int)sal_params_get(question->params, list, "baseline");
    return strcmp(sal_baseline_hole_names[kind], "inpaint") == 0;
}

bool sal_baseline_is_noise(const struct sal_question *question, const struct sal_param *list)
{
    return fill[(int)sal_params_get(question->params, list, "baseline")] == fill_noise;
}

void sal_baseline_noise(const struct sal_question *question, uint64_t number, sal_real *out)
{
    fill_noise(&(struct making){.question = question,
                                .input = sal_model_input(question->model),
                                .spec = sal_model_preprocessing(question->model),
                                .stream = UINT64_MAX - number,
                                .out = out});
}
