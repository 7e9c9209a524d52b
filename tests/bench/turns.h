/*
 * Turns: what is timed waits in a process of its own and is asked for over standard input.
 */
#ifndef TESTS_BENCH_TURNS_H
#define TESTS_BENCH_TURNS_H

#include "saliscope/model.h"
#include "saliscope/status.h"

struct turns {
    void *bench;
    void (*once)(void *bench); /* what is timed */
    void (*values)(void *bench); /* says on a line what the last turn computed */
    void (*peak)(void *bench);   /* obeys "peak"; may be NULL */
};

/* Obeys lines until its input ends, each with a line:
 *
 *     run N    N turns: [milliseconds, ...]
 *     values, peak
 *
 * Between lines it sleeps. */
void turns_obey(const struct turns *turns);

/* One image's input, raw floats; free() it. */
enum sal_status turns_input(const struct sal_model *model, const char *path, float **x,
                            struct sal_error *err);

/* Says why, and ends the program. */
_Noreturn void turns_give_up(const struct sal_error *err);

#endif
