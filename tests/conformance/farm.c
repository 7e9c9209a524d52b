#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

_Static_assert(sizeof(struct result) <= PIPE_BUF, "a result is written in one piece");

enum { JOBS_MAX = 64 };

struct child {
    pid_t pid; /* 0: the place is free */
    int pipe;
    double started;
    struct test *test;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the child -------------------------------------------------------------- */

/* Bytes mapped so far: libraries and their threads are not the test's doing. */
static size_t mapped(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit(const struct farm *farm)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (farm->memory && !SANITIZED) {
        rlim_t most = mapped() + farm->memory;
        setrlimit(RLIMIT_AS, &(struct rlimit){most, most});
    }
}

static void run_child(const struct farm *farm, struct test *test, int out,
                      trial_run *run)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(farm);
    struct result result = {0};
    run(test, &result);
    ssize_t size = write(out, &result, sizeof(result));
    exit(size == sizeof(result) ? 0 : 9); /* not _exit: the leak checker looks then */
}

static bool start(const struct farm *farm, struct child *child, struct test *test,
                  trial_run *run)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    fflush(NULL);
    *child =
        (struct child){.pid = fork(), .pipe = ends[0], .started = now(), .test = test};
    if (child->pid == 0) {
        close(ends[0]);
        run_child(farm, test, ends[1], run);
    }
    close(ends[1]);
    if (child->pid > 0)
        return true;
    close(ends[0]);
    child->pid = 0;
    return false;
}

/* ---- the parent ------------------------------------------------------------- */

static void crashed(struct result *result, const char *what, const char *text)
{
    result->outcome = OUTCOME_CRASH;
    snprintf(result->what, sizeof(result->what), "%s", what);
    snprintf(result->text, sizeof(result->text), "%s", text);
}

/* How it ended counts before what it said: a leak is found after the last word. */
static void conclude(struct child *child, bool overdue, bool said)
{
    struct result *result = &child->test->result;
    char what[32];
    int status = 0;
    if (overdue)
        kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (overdue) {
        crashed(result, "time", "it did not end within the time limit");
    } else if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        snprintf(what, sizeof(what), "SIG%s", name ? name : "?");
        crashed(result, what, "it was ended by a signal");
    } else if (WEXITSTATUS(status) != 0) {
        snprintf(what, sizeof(what), "exit %d", WEXITSTATUS(status));
        crashed(result, what, "it ended itself");
    } else if (!said || result->outcome <= OUTCOME_NONE ||
               result->outcome >= OUTCOMES) {
        crashed(result, "silent", "it ended without a word");
    }
    result->seconds = now() - child->started;
    close(child->pipe);
    child->pid = 0;
}

/* A word arrived, the child ended, or its time is over. */
static void attend(const struct farm *farm, struct child *child, short events)
{
    bool overdue = now() - child->started >= farm->seconds;
    if (!events && !overdue)
        return;
    bool said = false;
    if (events) {
        ssize_t size = read(child->pipe, &child->test->result, sizeof(struct result));
        said = size == sizeof(struct result);
        overdue = false;
    }
    if (!said)
        child->test->result = (struct result){0};
    if (said) { /* it has spoken and may still hang in its exit */
        struct pollfd end = {.fd = child->pipe};
        double left = farm->seconds - (now() - child->started);
        overdue = poll(&end, 1, left > 0 ? (int)(left * 1000) + 1 : 0) == 0;
    }
    conclude(child, overdue, said);
}

static int wait_for_any(const struct farm *farm, struct child *children, int jobs,
                        struct pollfd *polls)
{
    double first = now() + 1;
    int n = 0;
    for (int i = 0; i < jobs; i++) {
        polls[i] = (struct pollfd){.fd = children[i].pid ? children[i].pipe : -1,
                                   .events = POLLIN};
        if (children[i].pid) {
            double end = children[i].started + farm->seconds;
            first = end < first ? end : first;
            n++;
        }
    }
    double left = first - now();
    if (n)
        poll(polls, (nfds_t)jobs, left > 0 ? (int)(left * 1000) + 1 : 0);
    return n;
}

void farm_run(const struct farm *farm, struct tests *tests, trial_run *run)
{
    struct child children[JOBS_MAX] = {{0}};
    struct pollfd polls[JOBS_MAX];
    int jobs = farm->jobs < 1 ? 1 : farm->jobs > JOBS_MAX ? JOBS_MAX : farm->jobs;
    for (int next = 0;;) {
        for (int i = 0; i < jobs && next < tests->n; i++)
            if (!children[i].pid) {
                struct test *test = &tests->at[next++];
                if (!start(farm, &children[i], test, run))
                    crashed(&test->result, "fork", strerror(errno));
            }
        if (wait_for_any(farm, children, jobs, polls) == 0 && next >= tests->n)
            return;
        for (int i = 0; i < jobs; i++)
            if (children[i].pid)
                attend(farm, &children[i], polls[i].revents);
    }
}
