#include "saliscope/sandbox.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "saliscope/clock.h"
#include "sandbox_confine.h"

/* Processor time is limited by the kernel; a child that sleeps is ended when
 * this many times its processor time has passed on the wall. */
enum { WALL_FACTOR = 4 };

typedef enum sal_status work_fn(void *context, void *reply, size_t reply_size,
                                struct sal_error *err);

struct call {
    enum sal_sandbox_mode mode;
    const struct sal_sandbox_limits *limits;
    work_fn *work;
    void *context;
    void *reply;
    size_t reply_size;
};

/* What the child says, in memory both share. Hostile once the child has run. */
struct answer {
    int finished;
    int status;
    char text[sizeof(((struct sal_error *)0)->text)];
};

/* How the child ended. */
struct ending {
    bool late; /* we ended it */
    int how;   /* as from waitpid(); 0 when somebody else waited for it */
};

/* ---- what there is ---- */

static bool has_seccomp(void)
{
    unsigned action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

struct sal_sandbox_posture sal_sandbox_probe(void)
{
    return (struct sal_sandbox_posture){
        .seccomp = has_seccomp(),
        .landlock_abi = sandbox_landlock_abi(),
    };
}

static const char *missing_wall(struct sal_sandbox_posture posture)
{
    if (!posture.landlock_abi)
        return "this kernel has no Landlock";
    return posture.seccomp ? NULL : "this kernel has no seccomp filter";
}

char *sal_sandbox_describe(char *dst, size_t capacity, enum sal_sandbox_mode mode)
{
    struct sal_sandbox_posture posture = sal_sandbox_probe();
    const char *missing = missing_wall(posture);
    char landlock[32] = "";
    if (posture.landlock_abi)
        snprintf(landlock, sizeof(landlock), "landlock v%d + ", posture.landlock_abi);
    if (mode == SAL_SANDBOX_OFF)
        snprintf(dst, capacity, "off");
    else if (mode == SAL_SANDBOX_REQUIRE && missing)
        snprintf(dst, capacity, "unavailable: %s", missing);
    else
        snprintf(dst, capacity, "%s%srlimit%s%s%s", landlock,
                 posture.seccomp ? "seccomp + " : "", missing ? " (" : "",
                 missing ? missing : "", missing ? ")" : "");
    return dst;
}

/* ---- the child ---- */

static void do_work(const struct call *call, const char *missing, struct answer *answer)
{
    struct sal_error err = {0};
    if (missing && call->mode == SAL_SANDBOX_REQUIRE)
        answer->status =
            sal_fail(&err, SAL_BAD_INPUT, "sandbox required, but %s", missing);
    else
        answer->status =
            call->work(call->context, call->reply, call->reply_size, &err);
    memcpy(answer->text, err.text, sizeof(answer->text));
    answer->finished = 1;
}

/* Between fork and here other threads may have held any lock: nothing but
 * system calls until the walls stand, and then only the work, which may use
 * malloc because the C library makes that one whole again. */
static _Noreturn void live(const struct call *call, const struct sandbox_filter *filter,
                           pid_t parent, struct answer *answer)
{
    sandbox_detach(parent);
    do_work(call, sandbox_confine(filter, call->limits), answer);
    _exit(0);
}

static pid_t start(const struct call *call, struct answer *answer)
{
    struct sandbox_filter filter;
    sandbox_filter_build(&filter);
    pid_t parent = getpid();
    sigset_t all, before;
    sigfillset(&all);
    /* No handler of the parent may run in the child. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child == 0)
        live(call, &filter, parent, answer);
    int failed = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return child;
}

/* ---- the parent ---- */

/* True once the child is gone and reaped. */
static bool reap(pid_t child, int flags, struct ending *ending)
{
    pid_t got;
    do
        got = waitpid(child, &ending->how, flags);
    while (got < 0 && errno == EINTR);
    return got != 0;
}

static struct ending wait_for(pid_t child, unsigned seconds)
{
    struct ending ending = {0};
    double end = sal_seconds() + (double)seconds * WALL_FACTOR;
    /* Where there are no pidfds, poll() only sleeps. */
    int watch = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd entry = {.fd = watch, .events = POLLIN};
    while (!reap(child, WNOHANG, &ending)) {
        double left = end - sal_seconds();
        if (left <= 0) {
            ending.late = true;
            kill(child, SIGKILL);
            reap(child, 0, &ending);
            break;
        }
        poll(&entry, 1, watch < 0 ? 1 : left < 60 ? (int)(left * 1000) + 1 : 60000);
    }
    if (watch >= 0)
        close(watch);
    return ending;
}

static enum sal_status read_answer(const struct answer *answer, struct sal_error *err)
{
    int status = answer->status;
    if (status == SAL_OK)
        return SAL_OK;
    if (status < SAL_OK || status > SAL_CANCELLED)
        return sal_fail(err, SAL_BAD_INPUT, "the decoder gave no valid answer");
    if (!answer->text[0])
        return sal_fail(err, (enum sal_status)status, "the decoder gave no reason");
    return sal_fail(err, (enum sal_status)status, "%.*s", (int)sizeof(answer->text) - 1,
                    answer->text);
}

static enum sal_status judge(const struct answer *answer, struct ending ending,
                             unsigned seconds, struct sal_error *err)
{
    int killer = WIFSIGNALED(ending.how) ? WTERMSIG(ending.how) : 0;
    /* Not the exit status: valgrind sets it for what the parent's other threads
     * left unfinished at the fork. */
    if (WIFEXITED(ending.how) && answer->finished)
        return read_answer(answer, err);
    if (ending.late || killer == SIGXCPU)
        return sal_fail(err, SAL_LIMIT, "decoding took more than %u s", seconds);
    if (killer == SIGKILL)
        return sal_fail(err, SAL_LIMIT,
                        "the decoder was killed, for want of memory or time");
    if (killer)
        return sal_fail(err, SAL_BAD_INPUT,
                        "the decoder crashed (signal %d); the file is malformed",
                        killer);
    return sal_fail(err, SAL_BAD_INPUT,
                    "the decoder crashed (exit %d); the file is malformed",
                    WEXITSTATUS(ending.how));
}

/* Zeroed memory that a child shares; pages nobody touches cost nothing. */
static void *map_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static enum sal_status run(const struct call *call, struct answer *answer,
                           struct sal_error *err)
{
    if (call->mode == SAL_SANDBOX_OFF) {
        do_work(call, NULL, answer);
        return read_answer(answer, err);
    }
    const char *missing = missing_wall(sal_sandbox_probe());
    if (missing && call->mode == SAL_SANDBOX_REQUIRE)
        return sal_fail(err, SAL_BAD_INPUT, "sandbox required, but %s", missing);
    pid_t child = start(call, answer);
    if (child < 0)
        return sal_fail(err, SAL_LIMIT, "cannot start a decoder: %s", strerror(errno));
    struct ending ending = wait_for(child, call->limits->seconds);
    return judge(answer, ending, call->limits->seconds, err);
}

enum sal_status sal_sandbox_run(enum sal_sandbox_mode mode,
                                const struct sal_sandbox_limits *limits, work_fn *work,
                                void *context, void **reply, size_t reply_size,
                                struct sal_error *err)
{
    struct answer *answer = map_shared(sizeof(*answer));
    void *memory = reply_size ? map_shared(reply_size) : NULL;
    enum sal_status status;
    if (!answer || (reply_size && !memory)) {
        status = sal_fail(err, SAL_LIMIT, "no memory for %zu bytes from the decoder",
                          reply_size);
    } else {
        struct call call = {mode, limits, work, context, memory, reply_size};
        status = run(&call, answer, err);
    }
    if (answer)
        munmap(answer, sizeof(*answer));
    if (status)
        sal_sandbox_reply_release(memory, reply_size);
    else
        *reply = memory;
    return status;
}

void sal_sandbox_reply_release(void *reply, size_t reply_size)
{
    if (reply)
        munmap(reply, reply_size);
}
