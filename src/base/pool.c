#include "saliscope/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

struct sal_pool {
    int threads; /* the caller included */
    pthread_t *thread;
    pthread_mutex_t caller; /* held by whoever runs tiles */
    pthread_mutex_t lock;   /* guards everything below but next */
    pthread_cond_t begin, end;
    unsigned round; /* counts runs; workers wait for it to change */
    int busy;       /* workers still in this round */
    bool closing;
    int tiles;
    atomic_long next; /* first tile nobody has taken; passes tiles by threads */
    void (*work)(void *context, int tile, int worker);
    void *context;
};

struct worker {
    struct sal_pool *pool;
    int index;
};

static void take_tiles(struct sal_pool *pool, int worker)
{
    long tile;
    while ((tile = atomic_fetch_add(&pool->next, 1)) < pool->tiles)
        pool->work(pool->context, (int)tile, worker);
}

static void *worker_main(void *argument)
{
    struct worker self = *(struct worker *)argument;
    struct sal_pool *pool = self.pool;
    free(argument);
    unsigned seen = 0;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        while (pool->round == seen && !pool->closing)
            pthread_cond_wait(&pool->begin, &pool->lock);
        seen = pool->round;
        bool closing = pool->closing;
        pthread_mutex_unlock(&pool->lock);
        if (closing)
            return NULL;
        take_tiles(pool, self.index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->end);
        pthread_mutex_unlock(&pool->lock);
    }
}

static int processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static bool start_worker(struct sal_pool *pool, int index)
{
    struct worker *argument = malloc(sizeof(*argument));
    if (!argument)
        return false;
    *argument = (struct worker){.pool = pool, .index = index};
    if (pthread_create(&pool->thread[index], NULL, worker_main, argument) == 0)
        return true;
    free(argument);
    return false;
}

enum sal_status sal_pool_open(struct sal_pool **out, int threads,
                              struct sal_error *err)
{
    if (threads < 0 || threads > THREADS_MAX)
        return sal_fail(err, SAL_USAGE, "threads must be 0 (all) to %d, not %d",
                        THREADS_MAX, threads);
    if (threads == 0) {
        threads = processors();
        if (threads > THREADS_MAX)
            threads = THREADS_MAX;
    }
    struct sal_pool *pool = calloc(1, sizeof(*pool));
    pthread_t *thread = calloc((size_t)threads, sizeof(*thread));
    if (!pool || !thread) {
        free(pool);
        free(thread);
        return sal_fail(err, SAL_LIMIT, "no memory for %d threads", threads);
    }
    pool->thread = thread;
    pthread_mutex_init(&pool->caller, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->end, NULL);
    /* Fewer threads than asked for still compute the same result. */
    for (pool->threads = 1; pool->threads < threads; pool->threads++)
        if (!start_worker(pool, pool->threads))
            break;
    *out = pool;
    return SAL_OK;
}

void sal_pool_close(struct sal_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->caller);
    free(pool->thread);
    free(pool);
}

int sal_pool_threads(const struct sal_pool *pool)
{
    return pool ? pool->threads : 1;
}

static void run_here(int tiles, void (*work)(void *, int, int), void *context)
{
    for (int tile = 0; tile < tiles; tile++)
        work(context, tile, 0);
}

void sal_pool_run(struct sal_pool *pool, int tiles,
                  void (*work)(void *context, int tile, int worker), void *context)
{
    if (!pool || pool->threads == 1 || tiles <= 1) {
        run_here(tiles, work, context);
        return;
    }
    pthread_mutex_lock(&pool->caller);
    pthread_mutex_lock(&pool->lock);
    pool->tiles = tiles;
    pool->work = work;
    pool->context = context;
    pool->busy = pool->threads - 1;
    atomic_store(&pool->next, 0);
    pool->round++;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
    take_tiles(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->busy)
        pthread_cond_wait(&pool->end, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->caller);
}
