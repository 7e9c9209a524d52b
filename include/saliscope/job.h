/*
 * A job: how long work is watched and stopped from another thread.
 *
 * The worker sets the total, steps, and asks whether it should stop; anyone may
 * cancel or read the progress at any time. Every function accepts NULL and then
 * does nothing, so that work without an audience needs no special case. A
 * zeroed struct is a job that has not begun.
 */
#ifndef SALISCOPE_JOB_H
#define SALISCOPE_JOB_H

#include <stdatomic.h>
#include <stdbool.h>

struct sal_job {
    atomic_bool cancel;
    atomic_uint done;  /* steps finished */
    atomic_uint total; /* steps expected; 0: unknown */
};

void sal_job_begin(struct sal_job *job, unsigned total);
void sal_job_step(struct sal_job *job, unsigned steps);
void sal_job_cancel(struct sal_job *job);
bool sal_job_cancelled(const struct sal_job *job);

/* Progress in 0..1, or -1 while the total is unknown. */
double sal_job_progress(const struct sal_job *job);

#endif
