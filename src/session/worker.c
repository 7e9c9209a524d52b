#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state.h"

struct request {
    bool wanted;
    char *image;    /* NULL: the current one */
    bool inherited; /* image comes from a request that this one cancelled */
    struct sal_session_ask ask;
};

struct sal_worker {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below, and session->now */
    pthread_cond_t work;
    int wake[2]; /* read end, write end */

    struct request next;
    char *loading;  /* path of the load under way */
    bool busy, closing;
    enum sal_session_state state;
    double since; /* when the state began */
    struct sal_error error;
    unsigned serial;
    bool preview;           /* session->now has one: */
    struct sal_case before; /* then what it had before */
};

static void set_error(struct sal_worker *worker, enum sal_status status,
                      const char *text)
{
    worker->error = (struct sal_error){.status = status};
    snprintf(worker->error.text, sizeof(worker->error.text), "%s", text);
}

/* With the lock held. A full pipe already holds a wake-up. */
static void changed(struct sal_worker *worker)
{
    worker->serial++;
    while (write(worker->wake[1], "", 1) < 0 && errno == EINTR)
        ;
}

static void enter(struct sal_worker *worker, enum sal_session_state state)
{
    worker->state = state;
    worker->since = sal_seconds();
    changed(worker);
}

static enum sal_session_state first_state(const struct sal_session *session,
                                          const struct request *request)
{
    if (request->image)
        return SAL_LOADING;
    if (!session->now.scored)
        return SAL_CLASSIFYING;
    return request->ask.probe    ? SAL_PROBING
           : request->ask.method ? SAL_EXPLAINING
                                 : SAL_CLASSIFYING;
}

/* ---- the worker's side ------------------------------------------------------------ */

/* Waits for a request; false when the session closes. */
static bool take(struct sal_session *session, struct request *request)
{
    struct sal_worker *worker = session->worker;
    pthread_mutex_lock(&worker->lock);
    while (!worker->next.wanted && !worker->closing)
        pthread_cond_wait(&worker->work, &worker->lock);
    bool go = !worker->closing;
    *request = worker->next;
    worker->next = (struct request){0};
    worker->busy = go;
    worker->loading = request->image;
    sal_job_begin(&session->job, 0);
    if (go)
        enter(worker, first_state(session, request));
    atomic_store(&session->job.cancel, !go);
    pthread_mutex_unlock(&worker->lock);
    return go;
}

/* With the lock held: what session->now was, to be released without it. */
static struct sal_case replace(struct sal_session *session, struct sal_case shown)
{
    struct sal_case before = session->now;
    session->now = shown;
    session->worker->preview = false;
    return before;
}

/* Shows what is finished; the worker keeps its own hold. Only finish() is idle: a
 * newer request may be waiting. */
static void publish(struct sal_session *session, const struct sal_case *held,
                    enum sal_session_state state)
{
    struct sal_worker *worker = session->worker;
    struct sal_case shown = sal_case_retain(held);
    pthread_mutex_lock(&worker->lock);
    struct sal_case first = worker->before;
    worker->before = (struct sal_case){0};
    struct sal_case before = replace(session, shown);
    if (worker->loading && worker->next.inherited) {
        free(worker->next.image); /* it is the current one now */
        worker->next.image = NULL;
        worker->next.inherited = false;
    }
    worker->loading = NULL;
    sal_job_begin(&session->job, 0);
    enter(worker, state);
    pthread_mutex_unlock(&worker->lock);
    sal_case_release(&before);
    sal_case_release(&first);
}

void sal_worker_show(struct sal_session *session, const struct sal_case *held)
{
    struct sal_worker *worker = session->worker;
    if (!worker)
        return;
    struct sal_case shown = sal_case_retain(held), over = shown;
    pthread_mutex_lock(&worker->lock);
    if (!worker->next.wanted) {
        bool first = !worker->preview;
        over = replace(session, shown);
        worker->preview = true;
        if (first) {
            worker->before = over;
            over = (struct sal_case){0};
        }
        changed(worker);
    }
    pthread_mutex_unlock(&worker->lock);
    sal_case_release(&over);
}

/* What was stopped for a newer question is not shown in part. */
static bool superseded(struct sal_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    bool is = worker->next.wanted || worker->closing;
    pthread_mutex_unlock(&worker->lock);
    return is;
}

static enum sal_status serve_probe(struct sal_session *session,
                                   const struct request *request, struct sal_case *held,
                                   struct sal_error *err)
{
    publish(session, held, SAL_PROBING);
    if (sal_job_cancelled(&session->job))
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    enum sal_status status = sal_step_probe(session, &request->ask, held, err);
    const struct sal_stability *maps = status ? NULL : held->probed->stability;
    bool partial = !status && (held->probed->answer.partial || (maps && maps->partial));
    if (status || (partial && superseded(session->worker)))
        return status;
    publish(session, held, SAL_PROBING);
    return partial ? sal_fail(err, SAL_CANCELLED, "cancelled") : SAL_OK;
}

static enum sal_status serve(struct sal_session *session, const struct request *request,
                             struct sal_case *held, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    if (request->image) {
        status = sal_step_load(session, request->image, held, err);
        if (status)
            return status;
        publish(session, held, SAL_CLASSIFYING);
    }
    if (sal_job_cancelled(&session->job))
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    status = sal_step_classify(session, held, err);
    if (status)
        return status;
    if (request->ask.probe)
        return serve_probe(session, request, held, err);
    if (!request->ask.method) {
        publish(session, held, SAL_CLASSIFYING);
        return SAL_OK;
    }
    publish(session, held, SAL_EXPLAINING);
    if (sal_job_cancelled(&session->job))
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    status = sal_step_explain(session, &request->ask, held, err);
    if (status || (held->explained->map.partial && superseded(session->worker)))
        return status;
    publish(session, held, SAL_EXPLAINING);
    if (held->explained->map.partial)
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    return SAL_OK;
}

/* A request that a newer one cancelled leaves no error behind, and what did not come to its
 * end no preview. */
static void finish(struct sal_session *session, enum sal_status status,
                   const struct sal_error *err)
{
    struct sal_worker *worker = session->worker;
    struct sal_case preview = {0};
    pthread_mutex_lock(&worker->lock);
    worker->busy = false;
    worker->loading = NULL;
    if (worker->preview) {
        preview = replace(session, worker->before);
        worker->before = (struct sal_case){0};
        changed(worker);
    }
    if (!worker->next.wanted) {
        if (status)
            set_error(worker, status, err->text);
        enter(worker, SAL_IDLE);
    }
    pthread_mutex_unlock(&worker->lock);
    sal_case_release(&preview);
}

static void *work(void *argument)
{
    struct sal_session *session = argument;
    struct request request;
    while (take(session, &request)) {
        pthread_mutex_lock(&session->worker->lock);
        struct sal_case held = sal_case_retain(&session->now);
        pthread_mutex_unlock(&session->worker->lock);
        struct sal_error err = {0};
        enum sal_status status = serve(session, &request, &held, &err);
        finish(session, status, &err);
        sal_case_release(&held);
        free(request.image);
    }
    free(request.image);
    return NULL;
}

/* ---- the user's side ----------------------------------------------------------------- */

/* Signals are the main thread's, except those that a thread brings on itself. */
static int start_thread(struct sal_session *session)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    sigset_t block, before;
    sigfillset(&block);
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
        sigdelset(&block, own[i]);
    pthread_sigmask(SIG_SETMASK, &block, &before);
    int failed = pthread_create(&session->worker->thread, NULL, work, session);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

enum sal_status sal_session_start(struct sal_session *session, int *wake_fd,
                                  struct sal_error *err)
{
    struct sal_worker *worker = calloc(1, sizeof(*worker));
    if (!worker || pipe2(worker->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(worker);
        return sal_fail(err, SAL_LIMIT, "no memory or descriptors for a worker thread");
    }
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->work, NULL);
    session->worker = worker;
    if (start_thread(session) != 0) {
        session->worker = NULL;
        close(worker->wake[0]);
        close(worker->wake[1]);
        free(worker);
        return sal_fail(err, SAL_LIMIT, "the system gives no further thread");
    }
    *wake_fd = worker->wake[0];
    return SAL_OK;
}

void sal_worker_stop(struct sal_session *session)
{
    struct sal_worker *worker = session->worker;
    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->closing = true;
    sal_job_cancel(&session->job);
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    close(worker->wake[0]);
    close(worker->wake[1]);
    pthread_cond_destroy(&worker->work);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
    session->worker = NULL;
}

/* With the lock held: the image a request for "the current one" means while
 * another image is still on its way. */
static const char *coming(const struct sal_worker *worker)
{
    return worker->next.image ? worker->next.image : worker->loading;
}

void sal_session_request(struct sal_session *session, const char *image,
                         const struct sal_session_ask *ask)
{
    struct sal_worker *worker = session->worker;
    struct request next = {.wanted = true};
    if (ask)
        next.ask = *ask;
    pthread_mutex_lock(&worker->lock);
    const char *path = image ? image : coming(worker);
    if (path)
        next.image = strdup(path);
    next.inherited = !image && (worker->next.image ? worker->next.inherited
                                                   : worker->loading != NULL);
    free(worker->next.image);
    worker->next = next;
    worker->error = (struct sal_error){0};
    if (worker->busy)
        sal_job_cancel(&session->job);
    enter(worker, first_state(session, &next));
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
}

void sal_session_cancel(struct sal_session *session)
{
    struct sal_worker *worker = session->worker;
    if (!worker) {
        sal_job_cancel(&session->job);
        return;
    }
    pthread_mutex_lock(&worker->lock);
    if (worker->next.wanted) {
        free(worker->next.image);
        worker->next = (struct request){0};
        set_error(worker, SAL_CANCELLED, "cancelled");
        if (!worker->busy)
            enter(worker, SAL_IDLE);
    }
    if (worker->busy)
        sal_job_cancel(&session->job);
    pthread_mutex_unlock(&worker->lock);
}

static void drain(int fd)
{
    char bytes[64];
    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
}

static double seconds_left(const struct sal_worker *worker, double progress)
{
    if (worker->state == SAL_IDLE || !(progress > 0.02))
        return (double)NAN;
    return (sal_seconds() - worker->since) * (1 - progress) / progress;
}

void sal_session_snapshot(struct sal_session *session, struct sal_snapshot *snapshot)
{
    struct sal_worker *worker = session->worker;
    pthread_mutex_lock(&worker->lock);
    drain(worker->wake[0]);
    struct sal_case before = session->shown;
    session->shown = sal_case_retain(&session->now);
    double progress = worker->state == SAL_IDLE ? -1 : sal_job_progress(&session->job);
    *snapshot = (struct sal_snapshot){.state = worker->state,
                                      .progress = progress,
                                      .eta = seconds_left(worker, progress),
                                      .preview = worker->preview,
                                      .error = worker->error,
                                      .serial = worker->serial};
    pthread_mutex_unlock(&worker->lock);
    sal_case_release(&before);

    const struct sal_case *shown = &session->shown;
    if (shown->loaded) {
        snapshot->image_path = shown->loaded->path;
        snapshot->image = &shown->loaded->image;
    }
    if (shown->scored)
        snapshot->scores = shown->scored->scores;
    if (shown->explained) {
        snapshot->map = &shown->explained->map;
        snapshot->ask = shown->explained->ask;
        snapshot->seconds = shown->explained->seconds;
    }
    if (shown->probed) {
        snapshot->answer = &shown->probed->answer;
        snapshot->stability = shown->probed->stability;
        snapshot->probe_ask = shown->probed->ask;
        snapshot->probe_seconds = shown->probed->seconds;
    }
}
