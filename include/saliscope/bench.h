/*
 * How long passes of a session's model take, and in how much memory.
 *
 * A bench belongs to the session it was opened with, uses its threads and must be closed
 * before it; the caller's thread does the work, so no worker may be busy meanwhile. The
 * input is noise: times do not depend on what an image shows. One bench is open at a
 * time where memory is to be told, since that of both would be counted.
 */
#ifndef SALISCOPE_BENCH_H
#define SALISCOPE_BENCH_H

#include "saliscope/session.h"

struct sal_bench;

/* Lays out a run and makes one pass that is not timed, which meets cold memory. A pass is
 * a forward of `batch` images, 1 or more; with gradient, a forward and the gradient of
 * one score of each image with respect to the input. It is computed in the session's
 * precision. Fails as sal_run_open does. */
enum sal_status sal_bench_open(struct sal_bench **bench, struct sal_session *session,
                               int batch, bool gradient, struct sal_error *err);
void sal_bench_close(struct sal_bench *bench);

/* One pass, in milliseconds. */
enum sal_status sal_bench_pass(struct sal_bench *bench, double *ms,
                               struct sal_error *err);

/* What to hold times against. */
struct sal_bench_machine {
    int threads;
    double peak_flops; /* see sal_peak_flops; measured at each call */
    double peak_mib;   /* most memory of this process so far, the model's file included
                          where it is mapped and was read */
};
struct sal_bench_machine sal_bench_machine(const struct sal_session *session);

#endif
