/* What a file keeps of an altered picture. Rounding to its levels undoes many a flip, and
 * who attacks in real numbers does not see it: so the verdict is taken from the rounded
 * picture, prepared like any image that is read. */
#include <math.h>
#include <stdlib.h>

#include "search.h"

static double level_of(const struct sal_probe_answer *a, size_t i, unsigned white, double scale)
{
    double given = (double)a->picture[i] - (double)a->change[i];
    double level = round((given + scale * (double)a->change[i]) * white);
    return level < 0 ? 0 : level > white ? white : level;
}

enum sal_status sal_probe_picture(const struct sal_probe_answer *a,
                                  const struct sal_model *model, unsigned white, double scale,
                                  struct sal_image *image, struct sal_error *err)
{
    bool reversed = sal_model_preprocessing(model)->channels == SAL_BGR;
    int channels = a->planes >= 3 ? 3 : 1, bits = white > 255 ? 16 : 8;
    size_t pixels = (size_t)a->width * (size_t)a->height;
    enum sal_status status = sal_image_init(image, a->width, a->height, channels, bits, err);
    if (status)
        return status;
    image->max = white;
    for (int c = 0; c < channels; c++) {
        size_t plane = (size_t)(reversed ? channels - 1 - c : c) * pixels;
        for (size_t i = 0; i < pixels; i++)
            image->samples[i * (size_t)channels + (size_t)c] =
                (uint16_t)level_of(a, plane + i, white, scale);
    }
    return SAL_OK;
}

struct reading {
    sal_real *x, *logits;
    float *p;
};

static enum sal_status decide(struct sal_search *s, const struct reading *reading,
                              struct sal_saved *saved, struct sal_error *err)
{
    const struct sal_model *model = s->question->model;
    struct sal_image image;
    enum sal_status status =
        sal_probe_picture(s->answer, model, saved->white, saved->scale, &image, err);
    if (status)
        return status;
    status = sal_model_prepare(model, &image, reading->x, err);
    sal_image_release(&image);
    if (!status)
        status = sal_search_classify(s, reading->x, reading->logits, NULL, err);
    if (status)
        return status;
    saved->f = sal_decision_f(&s->decision, reading->logits);
    saved->flipped = sal_decision_reached(&s->decision, reading->logits);
    for (int64_t i = 0; i < s->space.n; i++)
        reading->p[i] = (float)(level_of(s->answer, (size_t)i, saved->white, saved->scale) /
                                saved->white);
    saved->distance = sal_space_distance(&s->space, reading->p);
    return SAL_OK;
}

static enum sal_status look(struct sal_search *s, const struct reading *reading, unsigned white,
                            struct sal_saved *saved, struct sal_error *err)
{
    static const double scales[] = {1,   1.0003, 1.001, 1.003, 1.01, 1.03, 1.1,
                                    1.2, 1.4,    1.7,   2,     2.5,  3,    4};
    for (size_t i = 0; i < sizeof(scales) / sizeof(*scales) && !saved->flipped; i++) {
        *saved = (struct sal_saved){.white = white, .scale = scales[i]};
        enum sal_status status = decide(s, reading, saved, err);
        if (status)
            return status;
        saved->survives = i == 0 && saved->flipped;
    }
    return SAL_OK;
}

enum sal_status sal_save_answer(struct sal_search *s, struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    enum sal_status status = SAL_OK;
    struct reading reading = {
        calloc((size_t)sal_input_elements(s->question->model), sizeof(sal_real)),
        calloc((size_t)a->n_logits, sizeof(sal_real)), sal_search_vector(s, &status, err)};
    if (!status && (!reading.x || !reading.logits))
        status = sal_fail(err, SAL_LIMIT, "no memory for a picture");
    if (!status)
        status = look(s, &reading, s->question->white ? s->question->white : 255, &a->stored,
                      err);
    if (!status)
        status = look(s, &reading, 65535, &a->deep, err);
    free(reading.x);
    free(reading.logits);
    free(reading.p);
    return status;
}
