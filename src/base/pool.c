#include "saliscope/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "saliscope/clock.h"

/* A network hands over a round every few tens of microseconds, and waking a thread
 * takes as long. So whoever waits looks on for a while before it sleeps, unless
 * threads outnumber processors: then looking would keep another from working. */
enum { THREADS_MAX = 256, LINE = 64 };

static const double spin_seconds = 1e-4;

/* Bits of a gate: nobody may enter any more, and how many are inside. */
static const unsigned CLOSED = 1u << 31;

/* The tiles next..end-1 of a thread's own share; next passes end by threads. */
struct share {
    _Alignas(LINE) atomic_long next;
    long end;
};

struct sal_pool {
    int threads; /* the caller included */
    bool spins;
    pthread_t *thread;
    pthread_mutex_t caller; /* held by whoever runs tiles */

    pthread_mutex_t lock; /* for going to sleep and waking up */
    pthread_cond_t begin, end;
    atomic_int sleepers; /* workers at or near `begin` */
    atomic_bool caller_sleeps;
    atomic_bool closing;

    /* The work of this round, for those who entered by the gate. */
    void (*work)(void *context, int tile, int worker);
    void *context;

    _Alignas(LINE) atomic_uint round; /* counts runs; workers wait for it to change */
    _Alignas(LINE) atomic_uint gate;  /* of this round, for workers */
    struct share *share;              /* [threads] */
};

struct worker {
    struct sal_pool *pool;
    int index;
};

/* A thread's own share first, the same part of every round: what it wrote in the one
 * before lies in its cache. Then what is left of others'. */
static void take_tiles(struct sal_pool *pool, int worker)
{
    for (int i = 0; i < pool->threads; i++) {
        struct share *share = &pool->share[(worker + i) % pool->threads];
        long tile;
        while (atomic_load_explicit(&share->next, memory_order_relaxed) < share->end &&
               (tile = atomic_fetch_add(&share->next, 1)) < share->end)
            pool->work(pool->context, (int)tile, worker);
    }
}

static void share_out(struct sal_pool *pool, int tiles)
{
    for (int i = 0; i < pool->threads; i++) {
        atomic_store(&pool->share[i].next, (long)tiles * i / pool->threads);
        pool->share[i].end = (long)tiles * (i + 1) / pool->threads;
    }
}

/* ---- waiting ---------------------------------------------------------------------- */

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Looks on until `done` or for spin_seconds; what `done` says. */
static bool spin(struct sal_pool *pool, bool (*done)(struct sal_pool *, unsigned),
                 unsigned seen)
{
    if (!pool->spins)
        return done(pool, seen);
    for (double until = sal_seconds() + spin_seconds;;) {
        for (int i = 0; i < 16; i++) {
            if (done(pool, seen))
                return true;
            pause_briefly();
        }
        if (sal_seconds() > until)
            return false;
    }
}

static bool has_begun(struct sal_pool *pool, unsigned seen)
{
    return atomic_load(&pool->round) != seen || atomic_load(&pool->closing);
}

static bool has_ended(struct sal_pool *pool, unsigned seen)
{
    (void)seen;
    return atomic_load(&pool->gate) == CLOSED;
}

/* Who goes to sleep says so before it looks a last time, and who may have to wake it
 * changes things before it looks for sleepers: one of them sees the other. */
static void wait_begin(struct sal_pool *pool, unsigned seen)
{
    if (spin(pool, has_begun, seen))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_begun(pool, seen))
        pthread_cond_wait(&pool->begin, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wake_workers(struct sal_pool *pool, int most)
{
    int n = atomic_load(&pool->sleepers);
    if (n == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    if (n <= most)
        pthread_cond_broadcast(&pool->begin);
    else
        for (int i = 0; i < most; i++)
            pthread_cond_signal(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_end(struct sal_pool *pool)
{
    if (spin(pool, has_ended, 0))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (!has_ended(pool, 0))
        pthread_cond_wait(&pool->end, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- workers ------------------------------------------------------------------------ */

/* A worker that comes too late is not waited for. */
static bool enter(struct sal_pool *pool)
{
    unsigned gate = atomic_load(&pool->gate);
    while (!(gate & CLOSED))
        if (atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1))
            return true;
    return false;
}

static void leave(struct sal_pool *pool)
{
    if (atomic_fetch_sub(&pool->gate, 1) != CLOSED + 1 ||
        !atomic_load(&pool->caller_sleeps))
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->end);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    struct worker self = *(struct worker *)argument;
    struct sal_pool *pool = self.pool;
    free(argument);
    for (unsigned seen = 0;;) {
        wait_begin(pool, seen);
        if (atomic_load(&pool->closing))
            return NULL;
        seen = atomic_load(&pool->round);
        if (!enter(pool))
            continue;
        take_tiles(pool, self.index);
        leave(pool);
    }
}

/* ---- the pool ------------------------------------------------------------------------- */

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
    struct sal_pool *pool = aligned_alloc(LINE, sizeof(*pool));
    pthread_t *thread = calloc((size_t)threads, sizeof(*thread));
    struct share *share = aligned_alloc(LINE, sizeof(*share) * (size_t)threads);
    if (!pool || !thread || !share) {
        free(pool);
        free(thread);
        free(share);
        return sal_fail(err, SAL_LIMIT, "no memory for %d threads", threads);
    }
    memset(pool, 0, sizeof(*pool));
    pool->thread = thread;
    pool->share = share;
    pool->spins = threads <= processors();
    atomic_init(&pool->gate, CLOSED);
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
    atomic_store(&pool->closing, true);
    wake_workers(pool, pool->threads);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->caller);
    free(pool->thread);
    free(pool->share);
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
    share_out(pool, tiles);
    pool->work = work;
    pool->context = context;
    atomic_store(&pool->gate, 0);
    atomic_fetch_add(&pool->round, 1);
    wake_workers(pool, tiles - 1);
    take_tiles(pool, 0);
    atomic_fetch_or(&pool->gate, CLOSED);
    wait_end(pool);
    pthread_mutex_unlock(&pool->caller);
}
