/*
 * Runs at rest: closed by who had them, and handed out again where the same is asked for.
 *
 * Laying out a run and the kernel's clearing of its memory take as long as a third of a
 * small network's forward, and an explanation is often one forward. A run that is closed
 * therefore waits with its model, a few of them, which together are small; the one that
 * was used longest ago goes first. Large ones are not kept: their passes take long anyway.
 * A run belongs to who opened it or to the shelf, never to both. Any thread may ask.
 * Owned by the model, which outlives its runs.
 */
#ifndef SALISCOPE_ENGINE_SHELF_H
#define SALISCOPE_ENGINE_SHELF_H

#include "saliscope/run.h"

enum { SAL_SHELF_RUNS = 4 };
#define SAL_SHELF_MEMORY ((size_t)128 << 20) /* of all of them, in bytes */

struct sal_shelf;

/* Keeps at most that many bytes, and not more than SAL_SHELF_MEMORY; NULL: no memory. */
struct sal_shelf *sal_shelf_open(size_t most);
void sal_shelf_close(struct sal_shelf *shelf);

/* A run that was opened with these options (pools aside, memory as resolved), as if it
 * had just been; NULL: there is none. */
struct sal_run *sal_shelf_take(struct sal_shelf *shelf, const struct sal_run_options *options);

/* Keeps a run whose last forward ended well, or frees it. */
void sal_shelf_give(struct sal_shelf *shelf, struct sal_run *run);

/* Bytes and number of the runs there. */
size_t sal_shelf_memory(struct sal_shelf *shelf);
int sal_shelf_count(struct sal_shelf *shelf);

#endif
