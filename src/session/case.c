#include "case.h"

#include <stdlib.h>
#include <string.h>

static void retain(struct sal_part *part)
{
    atomic_fetch_add(&part->references, 1);
}

static void let_go(struct sal_part *part)
{
    if (atomic_fetch_sub(&part->references, 1) == 1)
        part->release(part);
}

struct sal_case sal_case_retain(const struct sal_case *from)
{
    if (from->loaded)
        retain(&from->loaded->part);
    if (from->scored)
        retain(&from->scored->part);
    if (from->explained)
        retain(&from->explained->part);
    if (from->probed)
        retain(&from->probed->part);
    return *from;
}

void sal_case_release(struct sal_case *held)
{
    if (held->probed)
        let_go(&held->probed->part);
    if (held->explained)
        let_go(&held->explained->part);
    if (held->scored)
        let_go(&held->scored->part);
    if (held->loaded)
        let_go(&held->loaded->part);
    *held = (struct sal_case){0};
}

/* ---- image ------------------------------------------------------------------- */

static void release_loaded(struct sal_part *part)
{
    struct sal_loaded *loaded = (struct sal_loaded *)part;
    sal_image_release(&loaded->image);
    free(loaded->path);
    free(loaded->x);
    free(loaded);
}

static size_t input_elements(const struct sal_model *model)
{
    const struct sal_model_input *input = sal_model_input(model);
    return (size_t)input->channels * (size_t)input->height * (size_t)input->width;
}

enum sal_status sal_loaded_open(struct sal_loaded **out, const struct sal_model *model,
                                const char *path, enum sal_sandbox_mode sandbox,
                                struct sal_error *err)
{
    struct sal_loaded *loaded = calloc(1, sizeof(*loaded));
    if (!loaded)
        return sal_fail(err, SAL_LIMIT, "no memory for an image");
    loaded->part.release = release_loaded;
    retain(&loaded->part);
    loaded->path = strdup(path);
    loaded->x = calloc(input_elements(model), sizeof(*loaded->x));
    enum sal_status status = SAL_OK;
    if (!loaded->path || !loaded->x)
        status = sal_fail(err, SAL_LIMIT, "no memory for an input");
    if (!status)
        status = sal_image_load(&loaded->image, path, sandbox, err);
    if (!status)
        status = sal_model_prepare(model, &loaded->image, loaded->x, err);
    if (!status)
        *out = loaded;
    else
        let_go(&loaded->part);
    return status;
}

/* ---- scores ------------------------------------------------------------------ */

static void release_scored(struct sal_part *part)
{
    struct sal_scored *scored = (struct sal_scored *)part;
    free((void *)(uintptr_t)scored->scores.logits);
    free((void *)(uintptr_t)scored->scores.probabilities);
    free(scored);
}

enum sal_status sal_scored_make(struct sal_scored **out, const struct sal_model *model,
                                const sal_real *values, double seconds,
                                struct sal_error *err)
{
    int n = sal_model_output(model)->n;
    struct sal_scored *scored = calloc(1, sizeof(*scored));
    sal_real *logits = calloc((size_t)n, sizeof(*logits));
    double *probabilities = calloc((size_t)n, sizeof(*probabilities));
    if (!scored || !logits || !probabilities) {
        free(scored);
        free(logits);
        free(probabilities);
        return sal_fail(err, SAL_LIMIT, "no memory for the scores of %d classes", n);
    }
    memcpy(logits, values, (size_t)n * sizeof(*logits));
    sal_model_probabilities(model, logits, probabilities);
    scored->part.release = release_scored;
    retain(&scored->part);
    scored->scores = (struct sal_scores){.n = n,
                                         .logits = logits,
                                         .probabilities = probabilities,
                                         .top = sal_model_top_class(model, logits),
                                         .seconds = seconds};
    *out = scored;
    return SAL_OK;
}

/* ---- map ---------------------------------------------------------------------- */

static void release_explained(struct sal_part *part)
{
    struct sal_explained *explained = (struct sal_explained *)part;
    sal_map_release(&explained->map);
    free(explained);
}

struct sal_explained *sal_explained_so_far(const struct sal_question *question,
                                           const struct sal_method *method,
                                           struct sal_map *map)
{
    struct sal_explained *explained = calloc(1, sizeof(*explained));
    if (!explained)
        return NULL;
    explained->map = *map;
    *map = (struct sal_map){0};
    explained->ask = (struct sal_session_ask){.method = method,
                                              .params = explained->map.params,
                                              .class_index = question->class_index,
                                              .layer = explained->map.layer};
    explained->part.release = release_explained;
    retain(&explained->part);
    return explained;
}

enum sal_status sal_explained_make(struct sal_explained **out,
                                   const struct sal_question *question,
                                   const struct sal_method *method,
                                   struct sal_error *err)
{
    struct sal_map map;
    double begin = sal_seconds();
    enum sal_status status = sal_explain(method, question, &map, err);
    if (status)
        return status;
    *out = sal_explained_so_far(question, method, &map);
    sal_map_release(&map);
    if (!*out)
        return sal_fail(err, SAL_LIMIT, "no memory for a map");
    (*out)->seconds = sal_seconds() - begin;
    return SAL_OK;
}

/* ---- answer -------------------------------------------------------------------- */

static void release_probed(struct sal_part *part)
{
    struct sal_probed *probed = (struct sal_probed *)part;
    sal_probe_answer_release(&probed->answer);
    sal_roi_release(&probed->roi);
    if (probed->stability)
        sal_stability_release(probed->stability);
    free(probed->stability);
    free(probed);
}

/* The map before, the answer, and what becomes of the map. */
static enum sal_status ask_all(struct sal_probed *probed,
                               const struct sal_probe_question *question,
                               const struct sal_probe *probe,
                               const struct sal_stability_question *beside,
                               struct sal_error *err)
{
    struct sal_stability *maps = beside ? calloc(1, sizeof(*maps)) : NULL;
    if (beside && !maps)
        return sal_fail(err, SAL_LIMIT, "no memory for maps");
    enum sal_status status = beside ? sal_stability_begin(beside, maps, err) : SAL_OK;
    if (status) {
        free(maps);
        return status;
    }
    probed->stability = maps;
    status = sal_probe_run(probe, question, &probed->answer, err);
    if (!status && maps)
        status = sal_stability_finish(beside, probe, &probed->answer, maps, err);
    return status;
}

enum sal_status sal_probed_make(struct sal_probed **out,
                                const struct sal_probe_question *question,
                                const struct sal_session_ask *ask,
                                const struct sal_stability_question *beside,
                                struct sal_error *err)
{
    struct sal_probed *probed = calloc(1, sizeof(*probed));
    if (!probed)
        return sal_fail(err, SAL_LIMIT, "no memory for an answer");
    double begin = sal_seconds();
    enum sal_status status = ask_all(probed, question, ask->probe, beside, err);
    if (status) {
        release_probed(&probed->part);
        return status;
    }
    probed->seconds = sal_seconds() - begin;
    probed->ask = (struct sal_session_ask){.probe = ask->probe,
                                           .params = probed->answer.params,
                                           .class_index = question->class_index,
                                           .layer = -1,
                                           .roi = ask->roi,
                                           .n_roi = ask->n_roi,
                                           .where = ask->where};
    probed->part.release = release_probed;
    retain(&probed->part);
    *out = probed;
    return SAL_OK;
}

struct sal_probed *sal_probed_so_far(const struct sal_probe_question *question,
                                     const struct sal_probe *probe,
                                     struct sal_probe_answer *answer)
{
    struct sal_probed *probed = calloc(1, sizeof(*probed));
    if (!probed)
        return NULL;
    probed->answer = *answer;
    *answer = (struct sal_probe_answer){0};
    probed->ask = (struct sal_session_ask){.probe = probe,
                                           .params = probed->answer.params,
                                           .class_index = question->class_index,
                                           .layer = -1};
    probed->part.release = release_probed;
    retain(&probed->part);
    return probed;
}
