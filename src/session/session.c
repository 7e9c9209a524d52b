#include "saliscope/session.h"

#include <stdlib.h>
#include <string.h>

#include "state.h"

/* ---- opening ------------------------------------------------------------------ */

static enum sal_status keep_options(struct sal_session *session,
                                    const struct sal_session_options *options,
                                    struct sal_error *err)
{
    struct sal_session_options *own = &session->options;
    *own = *options;
    const char **texts[] = {&own->sidecar, &own->preset, &own->score, &own->program};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (!*texts[i])
            continue;
        *texts[i] = sal_arena_copy(&session->arena, *texts[i], strlen(*texts[i]));
        if (!*texts[i])
            return sal_fail(err, SAL_LIMIT, "no memory for a session");
    }
    return SAL_OK;
}

static enum sal_status open_model(struct sal_session *session, const char *model,
                                  struct sal_error *err)
{
    const struct sal_session_options *own = &session->options;
    struct sal_model_options options = {.sidecar = own->sidecar,
                                        .preset = own->preset,
                                        .score = own->score,
                                        .force_opset = own->force_opset,
                                        .memory = own->memory,
                                        .pool = session->pool};
    return sal_model_open(&session->model, model, &options, err);
}

enum sal_status sal_session_open(struct sal_session **out, const char *model,
                                 const struct sal_session_options *options,
                                 struct sal_error *err)
{
    struct sal_session *session = calloc(1, sizeof(*session));
    if (!session)
        return sal_fail(err, SAL_LIMIT, "no memory for a session");
    enum sal_status status = sal_precision_check(options->precision, err);
    if (!status && options->exact && options->precision != SAL_F32)
        status = sal_fail(err, SAL_USAGE, "what is exact is computed in f32, not in bf16");
    if (!status)
        status = keep_options(session, options, err);
    if (!status)
        status = sal_pool_open(&session->pool, options->threads, err);
    if (!status)
        status = open_model(session, model, err);
    if (status)
        sal_session_close(session);
    else
        *out = session;
    return status;
}

void sal_session_close(struct sal_session *session)
{
    if (!session)
        return;
    sal_worker_stop(session);
    sal_case_release(&session->shown);
    sal_case_release(&session->now);
    if (session->run)
        sal_run_close(session->run);
    sal_tally_close(session->tally);
    sal_taps_close(session->taps);
    if (session->model)
        sal_model_close(session->model);
    sal_pool_close(session->pool);
    sal_session_forget_outputs(session);
    sal_arena_release(&session->arena);
    free(session);
}

struct sal_model *sal_session_model(struct sal_session *session)
{
    return session->model;
}

const struct sal_case *sal_session_case(const struct sal_session *session)
{
    return session->worker ? &session->shown : &session->now;
}

void sal_session_choose(struct sal_session *session, enum sal_result result)
{
    session->result = result;
}

/* Serials of what is there and wanted; 0 where it is not. */
static unsigned map_serial(const struct sal_session *session)
{
    const struct sal_explained *explained = sal_session_case(session)->explained;
    return explained && session->result != SAL_RESULT_ANSWER ? explained->serial : 0;
}

static unsigned answer_serial(const struct sal_session *session)
{
    const struct sal_probed *probed = sal_session_case(session)->probed;
    return probed && session->result != SAL_RESULT_MAP ? probed->serial : 0;
}

bool sal_session_shows_probe(const struct sal_session *session)
{
    return answer_serial(session) > map_serial(session);
}

unsigned sal_session_serial(const struct sal_session *session)
{
    unsigned map = map_serial(session), answer = answer_serial(session);
    return answer > map ? answer : map;
}

/* ---- the steps ------------------------------------------------------------------ */

enum sal_status sal_step_load(struct sal_session *session, const char *path,
                              struct sal_case *held, struct sal_error *err)
{
    struct sal_loaded *loaded;
    enum sal_status status = sal_loaded_open(&loaded, session->model, path,
                                             session->options.sandbox, err);
    if (status)
        return status;
    sal_case_release(held);
    held->loaded = loaded;
    return SAL_OK;
}

static enum sal_status open_run(struct sal_session *session, struct sal_error *err)
{
    if (session->run)
        return SAL_OK;
    struct sal_run_options options = {.memory = session->options.memory,
                                      .exact = session->options.exact,
                                      .pool = session->pool};
    return sal_run_open(&session->run, session->model, &options, err);
}

/* A gradient may need more memory than there is. */
bool sal_session_winograd(struct sal_session *session, struct sal_winograd_use use[2])
{
    struct sal_run_options options = {.gradient = true,
                                      .memory = session->options.memory,
                                      .exact = session->options.exact,
                                      .pool = session->pool};
    struct sal_run *run;
    if (sal_run_open(&run, session->model, &options, NULL)) {
        options.gradient = false;
        if (sal_run_open(&run, session->model, &options, NULL))
            return false;
    }
    for (int back = 0; back < 2; back++) {
        use[back] = sal_run_winograd(run, back);
        const char *worst = use[back].worst;
        use[back].worst = sal_arena_copy(&session->arena, worst, strlen(worst));
    }
    sal_run_close(run);
    return use[0].worst && use[1].worst;
}

enum sal_status sal_step_classify(struct sal_session *session, struct sal_case *held,
                                  struct sal_error *err)
{
    if (!held->loaded)
        return sal_fail(err, SAL_USAGE, "no image is loaded");
    if (held->scored)
        return SAL_OK;
    enum sal_status status = open_run(session, err);
    if (status)
        return status;
    double begin = sal_seconds();
    status = sal_run_forward(session->run, held->loaded->x, &session->job, err);
    if (status)
        return status;
    const struct sal_model_output *output = sal_model_output(session->model);
    struct sal_shape shape;
    const sal_real *logits = sal_run_value(session->run, output->value, &shape);
    return sal_scored_make(&held->scored, session->model, logits,
                           sal_seconds() - begin, err);
}

/* ---- like another library -------------------------------------------------------------- */

static const struct sal_like_row *row_of(const struct sal_session *session,
                                         const struct sal_like *like,
                                         const struct sal_method *method,
                                         struct sal_error *err)
{
    return sal_like_row_find(like, method, sal_model_input(session->model)->channels, err);
}

enum sal_status sal_session_ask_method(const struct sal_session *session,
                                       struct sal_session_ask *ask,
                                       const struct sal_method *method,
                                       const struct sal_like *like, struct sal_error *err)
{
    ask->method = method;
    ask->like = NULL;
    sal_params_init(&ask->params, method->params);
    const struct sal_like_row *row = like ? row_of(session, like, method, err) : NULL;
    if (!row)
        return like ? SAL_USAGE : SAL_OK;
    ask->like = like;
    sal_like_params(row, method, &ask->params);
    return SAL_OK;
}

static void finish_like(const struct sal_session *session, const struct sal_session_ask *ask,
                        struct sal_map *map)
{
    const struct sal_like_row *row =
        ask->like ? row_of(session, ask->like, ask->method, NULL) : NULL;
    if (row)
        sal_like_finish(row->finish, map);
}

/* Whoever looks at a second layer of an image will look at more of them. NULL: a first one;
 * or no memory, then each layer has its own passes. */
static struct sal_taps *taps_for(struct sal_session *session,
                                 const struct sal_session_ask *ask,
                                 const struct sal_case *held)
{
    int n, automatic, wanted = ask->layer;
    const struct sal_layer *layers = sal_model_layers(session->model, &n, &automatic);
    if (wanted < 0 && automatic >= 0)
        wanted = layers[automatic].value;
    bool moves = held->explained && held->explained->map.layer >= 0 &&
                 held->explained->map.layer != wanted;
    if (moves && !session->taps)
        session->taps = sal_taps_open(0);
    return moves ? session->taps : NULL;
}

/* Classifies, which may say what is looked at. */
enum sal_status sal_step_class(struct sal_session *session,
                               const struct sal_session_ask *ask, struct sal_case *held,
                               int *class_index, struct sal_error *err)
{
    enum sal_status status = sal_step_classify(session, held, err);
    if (status)
        return status;
    int classes = held->scored->scores.n;
    *class_index = ask->class_index < 0 ? held->scored->scores.top : ask->class_index;
    if (ask->class_index >= classes)
        return sal_fail(err, SAL_USAGE, "class %d does not exist; there are %d, from 0",
                        ask->class_index, classes);
    return SAL_OK;
}

/* NULL: no memory, nothing is kept. */
static struct sal_tally *tally_of(struct sal_session *session)
{
    if (!session->tally)
        session->tally = sal_tally_open();
    return session->tally;
}

/* ---- a map while it is made ------------------------------------------------------- */

struct showing {
    struct sal_session *session;
    const struct sal_case *held;
    const struct sal_question *question;
    const struct sal_session_ask *ask;
    double begin;
};

static void show(void *audience, struct sal_map *map)
{
    const struct showing *now = audience;
    struct sal_case shown = *now->held;
    shown.explained = sal_explained_so_far(now->question, now->ask->method, map);
    if (!shown.explained)
        return;
    shown.explained->seconds = sal_seconds() - now->begin;
    shown.explained->ask.like = now->ask->like;
    finish_like(now->session, now->ask, &shown.explained->map);
    shown.explained->serial = ++now->session->results;
    sal_worker_show(now->session, &shown);
    struct sal_case map_only = {.explained = shown.explained};
    sal_case_release(&map_only);
}

/* ---- explaining --------------------------------------------------------------------- */

static enum sal_precision precision_for(const struct sal_session *session,
                                        const struct sal_method *method)
{
    bool has = method->needs & SAL_SWEEPS || !session->options.any_method;
    return has ? session->options.precision : SAL_F32;
}

enum sal_status sal_step_explain(struct sal_session *session,
                                 const struct sal_session_ask *ask,
                                 struct sal_case *held, struct sal_error *err)
{
    int class_index;
    enum sal_status status = sal_step_class(session, ask, held, &class_index, err);
    if (status)
        return status;
    struct sal_question question = {
        .model = session->model,
        .x = held->loaded->x,
        .class_index = class_index,
        .layer = ask->layer,
        .params = &ask->params,
        .batch = session->options.batch,
        .seed = session->options.seed,
        .exact = session->options.exact,
        .precision = precision_for(session, ask->method),
        .pool = session->pool,
        .job = &session->job,
        .tally = tally_of(session),
        .taps = taps_for(session, ask, held),
    };
    struct showing showing = {session, held, &question, ask, sal_seconds()};
    question.show = session->options.previews ? show : NULL;
    question.audience = &showing;
    struct sal_explained *explained;
    status = sal_explained_make(&explained, &question, ask->method, err);
    if (status)
        return status;
    struct sal_case map_only = {.explained = held->explained};
    sal_case_release(&map_only);
    held->explained = explained;
    explained->ask.like = ask->like;
    finish_like(session, ask, &explained->map);
    explained->serial = ++session->results;
    return SAL_OK;
}

/* ---- in the caller's thread --------------------------------------------------------- */

enum sal_status sal_session_load(struct sal_session *session, const char *image,
                                 struct sal_error *err)
{
    sal_case_release(&session->now);
    atomic_store(&session->job.cancel, false);
    return sal_step_load(session, image, &session->now, err);
}

enum sal_status sal_session_classify(struct sal_session *session,
                                     struct sal_scores *scores, struct sal_error *err)
{
    enum sal_status status = sal_step_classify(session, &session->now, err);
    if (!status)
        *scores = session->now.scored->scores;
    return status;
}

enum sal_status sal_session_explain(struct sal_session *session,
                                    const struct sal_session_ask *ask,
                                    const struct sal_map **map, struct sal_error *err)
{
    enum sal_status status = sal_step_explain(session, ask, &session->now, err);
    if (!status)
        *map = &session->now.explained->map;
    return status;
}

enum sal_status sal_session_probe(struct sal_session *session,
                                  const struct sal_session_ask *ask,
                                  const struct sal_probe_answer **answer,
                                  struct sal_error *err)
{
    enum sal_status status = sal_step_probe(session, ask, &session->now, err);
    if (!status)
        *answer = &session->now.probed->answer;
    return status;
}

/* ---- the map over the image ----------------------------------------------------------- */

enum sal_status sal_session_map_over(const struct sal_session *session,
                                     const struct sal_map *map, int width, int height,
                                     float **values, struct sal_error *err)
{
    const struct sal_loaded *loaded = sal_session_case(session)->loaded;
    if (!loaded)
        return sal_fail(err, SAL_USAGE, "no image is loaded");
    const struct sal_image *image = &loaded->image;
    const struct sal_preprocessing *spec = sal_model_preprocessing(session->model);
    struct sal_placement place = sal_placement_of(image->width, image->height,
                                                  map->width, map->height, spec->fit);
    double across = (double)width / image->width;
    double down = (double)height / image->height;
    place.src_x *= across;
    place.src_width *= across;
    place.src_y *= down;
    place.src_height *= down;
    *values = calloc((size_t)width * (size_t)height, sizeof(**values));
    if (!*values)
        return sal_fail(err, SAL_LIMIT, "no memory for a map of %d x %d", width, height);
    sal_plane_to_image(map->values, map->height, map->width, &place, *values, height,
                       width);
    return SAL_OK;
}

enum sal_status sal_session_map_on_image(const struct sal_session *session,
                                         const struct sal_map *map, float **values,
                                         struct sal_error *err)
{
    const struct sal_loaded *loaded = sal_session_case(session)->loaded;
    if (!loaded)
        return sal_fail(err, SAL_USAGE, "no image is loaded");
    return sal_session_map_over(session, map, loaded->image.width, loaded->image.height,
                                values, err);
}
