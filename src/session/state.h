/*
 * What a session is made of, for the files of this folder.
 */
#ifndef SALISCOPE_SESSION_STATE_H
#define SALISCOPE_SESSION_STATE_H

#include "case.h"
#include "saliscope/arena.h"
#include "saliscope/run.h"

enum { SAL_OUTPUTS_MAX = 64 };

struct sal_session {
    struct sal_session_options options; /* text copied into arena */
    struct sal_arena arena;
    struct sal_pool *pool;
    struct sal_model *model;
    struct sal_run *run; /* of classify; used by whoever does the work */
    struct sal_tally *tally; /* of explain: scores of all classes; likewise */
    struct sal_taps *taps; /* of explain, once somebody moves between layers; likewise */
    struct sal_job job;

    struct sal_case now;   /* the newest; under the worker's lock, if there is one */
    struct sal_case shown; /* of the last snapshot */
    struct sal_worker *worker; /* NULL: not started */

    enum sal_result result; /* that files are about */
    unsigned results;     /* maps and answers made so far; the worker's */
    unsigned written_for; /* serial of the result the outputs show; 0: of none */
    char *outputs[SAL_OUTPUTS_MAX + 1]; /* paths written for it, NULL ends */
};

/* Shows a case while its map is still being made; the worker's. Does nothing where there is
 * no worker. */
void sal_worker_show(struct sal_session *session, const struct sal_case *held);

/* The steps of the work. Each changes only `held`; on failure it is as before. */
enum sal_status sal_step_load(struct sal_session *session, const char *path,
                              struct sal_case *held, struct sal_error *err);
enum sal_status sal_step_classify(struct sal_session *session, struct sal_case *held,
                                  struct sal_error *err);
/* And says which class is asked about. */
enum sal_status sal_step_class(struct sal_session *session,
                               const struct sal_session_ask *ask, struct sal_case *held,
                               int *class_index, struct sal_error *err);
enum sal_status sal_step_explain(struct sal_session *session,
                                 const struct sal_session_ask *ask,
                                 struct sal_case *held, struct sal_error *err);

enum sal_status sal_step_probe(struct sal_session *session,
                               const struct sal_session_ask *ask, struct sal_case *held,
                               struct sal_error *err);

/* The case that writers and records are about. */
const struct sal_case *sal_session_case(const struct sal_session *session);

/* The result of that case that they are about is a probe's. */
bool sal_session_shows_probe(const struct sal_session *session);

/* That result's serial; 0: there is none. */
unsigned sal_session_serial(const struct sal_session *session);

/* The map on a grid of width x height laid over the image; free() it. */
enum sal_status sal_session_map_over(const struct sal_session *session,
                                     const struct sal_map *map, int width, int height,
                                     float **values, struct sal_error *err);

/* Stops and frees the worker; nothing when there is none. */
void sal_worker_stop(struct sal_session *session);

void sal_session_forget_outputs(struct sal_session *session);

#endif
