/*
 * The one pool of threads.
 *
 * Work is handed over as numbered tiles. How a caller cuts its work depends
 * neither on the number of threads nor on the batch, and a tile computes the
 * same bits whoever runs it, so results are identical for any thread count.
 * Nothing else in the program starts compute threads (BLAS is kept at one).
 * A pool serves one caller at a time; a second one waits. NULL is a valid pool
 * that runs everything in the caller.
 */
#ifndef SALISCOPE_POOL_H
#define SALISCOPE_POOL_H

#include "saliscope/status.h"

struct sal_pool;

/* threads: 1..256 including the caller; 0 means one per available processor. */
enum sal_status sal_pool_open(struct sal_pool **pool, int threads,
                              struct sal_error *err);
void sal_pool_close(struct sal_pool *pool);
int sal_pool_threads(const struct sal_pool *pool);

/* Calls work(context, tile, worker) once for every tile in 0..tiles-1 and
 * returns when all are done. worker is in 0..threads-1, for per-thread scratch;
 * the result must not depend on it. work must not run the same pool: it would
 * wait for itself. */
void sal_pool_run(struct sal_pool *pool, int tiles,
                  void (*work)(void *context, int tile, int worker),
                  void *context);

#endif
