#include "saliscope/job.h"

#include <stddef.h>

void sal_job_begin(struct sal_job *job, unsigned total)
{
    if (!job)
        return;
    atomic_store(&job->done, 0);
    atomic_store(&job->total, total);
}

void sal_job_step(struct sal_job *job, unsigned steps)
{
    if (job)
        atomic_fetch_add(&job->done, steps);
}

void sal_job_cancel(struct sal_job *job)
{
    if (job)
        atomic_store(&job->cancel, true);
}

bool sal_job_cancelled(const struct sal_job *job)
{
    return job && atomic_load(&job->cancel);
}

double sal_job_progress(const struct sal_job *job)
{
    unsigned total = job ? atomic_load(&job->total) : 0;
    if (!total)
        return -1;
    double done = (double)atomic_load(&job->done) / total;
    return done < 1 ? done : 1;
}
