/* The question that a probe is asked about the current image: where it may alter the picture,
 * the region that it is asked about, and the maps beside it. */
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* Where fit pads, the input shows no part of the image: nothing is altered there. NULL: it
 * shows it everywhere, or no memory. */
static uint8_t *shown_mask(const struct sal_session *session, const struct sal_image *image)
{
    const struct sal_model_input *input = sal_model_input(session->model);
    const struct sal_preprocessing *spec = sal_model_preprocessing(session->model);
    struct sal_placement place = sal_placement_of(image->width, image->height, input->width,
                                                  input->height, spec->fit);
    if (place.dst_width == input->width && place.dst_height == input->height)
        return NULL;
    uint8_t *mask = calloc((size_t)input->width * (size_t)input->height, 1);
    for (int y = 0; mask && y < place.dst_height; y++)
        memset(mask + (size_t)(place.dst_y + y) * (size_t)input->width + place.dst_x, 1,
               (size_t)place.dst_width);
    return mask;
}

/* Where a picture may be altered, and the region that is asked about. */
struct places {
    struct sal_roi roi;
    uint8_t *shown, *inside; /* on the network's grid; NULL: everywhere; no region */
};

static void release_places(struct places *places)
{
    sal_roi_release(&places->roi);
    free(places->shown);
    free(places->inside);
}

static enum sal_status place_region(const struct sal_session *session, struct places *places,
                                    struct sal_error *err)
{
    struct sal_preprocessing spec = *sal_model_preprocessing(session->model);
    spec.width = sal_model_input(session->model)->width;
    spec.height = sal_model_input(session->model)->height;
    places->inside = calloc((size_t)spec.width * (size_t)spec.height, 1);
    if (!places->inside)
        return sal_fail(err, SAL_LIMIT, "no memory for a region");
    return sal_roi_place(&places->roi, &spec, places->inside, err);
}

/* Release them either way. */
static enum sal_status find_places(const struct sal_session *session,
                                   const struct sal_session_ask *ask,
                                   const struct sal_image *image, struct places *places,
                                   struct sal_error *err)
{
    *places = (struct places){.shown = shown_mask(session, image)};
    if (!ask->n_roi)
        return SAL_OK;
    enum sal_status status = sal_roi_read(&places->roi, ask->roi, ask->n_roi, image->width,
                                          image->height, session->options.sandbox, err);
    return status ? status : place_region(session, places, err);
}

/* What was left automatic in the maps beside it. */
static void resolve_beside(const struct sal_session_ask *ask, struct sal_probed *probed)
{
    probed->ask.beside = ask->beside;
    if (!ask->beside)
        return;
    probed->ask.beside_params = probed->stability->before.params;
    probed->ask.stability_params = probed->stability->params;
    probed->ask.layer = probed->stability->before.layer;
}

/* ---- an answer while it is looked for ------------------------------------------------ */

struct watching {
    struct sal_session *session;
    const struct sal_case *held;
    const struct sal_probe_question *question;
    const struct sal_probe *probe;
    double begin;
};

static void show_answer(void *audience, struct sal_probe_answer *answer)
{
    const struct watching *now = audience;
    struct sal_case shown = *now->held;
    shown.probed = sal_probed_so_far(now->question, now->probe, answer);
    if (!shown.probed)
        return;
    shown.probed->seconds = sal_seconds() - now->begin;
    shown.probed->serial = ++now->session->results;
    sal_worker_show(now->session, &shown);
    struct sal_case answer_only = {.probed = shown.probed};
    sal_case_release(&answer_only);
}

/* ---- probing --------------------------------------------------------------------------- */

static void hold(struct sal_session *session, struct sal_case *held, struct sal_probed *probed)
{
    struct sal_case before = {.probed = held->probed};
    sal_case_release(&before);
    held->probed = probed;
    probed->serial = ++session->results;
}

static enum sal_status answer(struct sal_session *session, const struct sal_session_ask *ask,
                              struct sal_case *held, struct places *places, int class_index,
                              struct sal_error *err)
{
    const struct sal_image *image = &held->loaded->image;
    struct watching watching = {session, held, NULL, ask->probe, sal_seconds()};
    const struct sal_probe_question question = {
        .model = session->model,
        .x = held->loaded->x,
        .class_index = class_index,
        .white = image->max,
        .grey = image->channels <= 2,
        .mask = places->shown,
        .roi = places->inside,
        .where = ask->where,
        .params = &ask->params,
        .batch = session->options.batch,
        .seed = session->options.seed,
        .exact = session->options.exact,
        .pool = session->pool,
        .job = &session->job,
        .show = session->options.previews ? show_answer : NULL,
        .audience = &watching,
    };
    watching.question = &question;
    const struct sal_stability_question beside = {.probed = &question,
                                                  .method = ask->beside,
                                                  .method_params = &ask->beside_params,
                                                  .layer = ask->layer,
                                                  .precision = session->options.precision,
                                                  .params = &ask->stability_params};
    struct sal_probed *probed;
    enum sal_status status =
        sal_probed_make(&probed, &question, ask, ask->beside ? &beside : NULL, err);
    if (status)
        return status;
    probed->roi = places->roi;
    places->roi = (struct sal_roi){0};
    resolve_beside(ask, probed);
    hold(session, held, probed);
    return SAL_OK;
}

enum sal_status sal_step_probe(struct sal_session *session,
                               const struct sal_session_ask *ask, struct sal_case *held,
                               struct sal_error *err)
{
    struct places places;
    int class_index;
    enum sal_status status = sal_step_class(session, ask, held, &class_index, err);
    if (status)
        return status;
    status = find_places(session, ask, &held->loaded->image, &places, err);
    if (!status)
        status = answer(session, ask, held, &places, class_index, err);
    release_places(&places);
    return status;
}
