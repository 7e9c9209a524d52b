#include "sandbox_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the filter ---- */

/* Memory, clocks, its own signals and the end; what C libraries, allocators,
 * sanitizers and valgrind do without asking. Whatever opens, connects, starts,
 * waits or signals is refused. */
static const int allowed[] = {
    SCMP_SYS(brk),          SCMP_SYS(clock_gettime),  SCMP_SYS(exit),
    SCMP_SYS(exit_group),   SCMP_SYS(fstat),          SCMP_SYS(futex),
    SCMP_SYS(getpid),       SCMP_SYS(getrandom),      SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday), SCMP_SYS(lseek),          SCMP_SYS(madvise),
    SCMP_SYS(mmap),         SCMP_SYS(mprotect),       SCMP_SYS(mremap),
    SCMP_SYS(munmap),       SCMP_SYS(newfstatat),     SCMP_SYS(read),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),  SCMP_SYS(sigaltstack),    SCMP_SYS(write),
};

static bool allow(scmp_filter_ctx context)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
        failed |= seccomp_rule_add(context, SCMP_ACT_ALLOW, allowed[i], 0);
    return !failed;
}

/* libseccomp hands a compiled filter out only through a descriptor. */
static bool export(scmp_filter_ctx context, struct sandbox_filter *filter)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = -1;
    if (seccomp_export_bpf(context, fd) == 0)
        size = pread(fd, filter->code, sizeof(filter->code), 0);
    close(fd);
    if (size <= 0 || (size_t)size == sizeof(filter->code)) /* perhaps cut */
        return false;
    filter->size = (unsigned short)((size_t)size / sizeof(*filter->code));
    return true;
}

bool sandbox_filter_build(struct sandbox_filter *filter)
{
    filter->size = 0;
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!context)
        return false;
    bool built = allow(context) && export(context, filter);
    seccomp_release(context);
    return built;
}

/* ---- Landlock; the headers of many systems are older than their kernels ---- */

enum {
    LANDLOCK_CREATE_RULESET = 444,
    LANDLOCK_RESTRICT_SELF = 446,
    LANDLOCK_ASK_VERSION = 1,
};

struct landlock_attributes {
    uint64_t files, network, scoped;
};

int sandbox_landlock_abi(void)
{
    long abi = syscall(LANDLOCK_CREATE_RULESET, NULL, (size_t)0, LANDLOCK_ASK_VERSION);
    return abi > 0 ? (int)abi : 0;
}

/* Claims every right this kernel knows and grants none of them. */
static bool landlock_everything(void)
{
    static const int file_rights[] = {0, 13, 14, 15, 15, 16};
    int abi = sandbox_landlock_abi();
    if (!abi)
        return false;
    struct landlock_attributes rights = {
        .files = (1u << file_rights[abi < 5 ? abi : 5]) - 1,
        .network = abi >= 4 ? 3 : 0,
        .scoped = abi >= 6 ? 3 : 0,
    };
    size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    long rules = syscall(LANDLOCK_CREATE_RULESET, &rights, size, 0);
    if (rules < 0)
        return false;
    bool held = syscall(LANDLOCK_RESTRICT_SELF, (int)rules, 0) == 0;
    close((int)rules);
    return held;
}

/* ---- leaving the parent ---- */

static void close_files(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= (SANITIZED ? 1 : 2); fd++)
        if (null < 0 || dup2(null, fd) < 0)
            close(fd);
    if (syscall(SYS_close_range, 3u, UINT_MAX, 0u) == 0)
        return;
    long most = sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < most; fd++)
        close(fd);
}

void sandbox_detach(int parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setsid(); /* no terminal, and not its Ctrl-C */
    /* The parent's handlers would touch the parent's terminal and pipes. */
    for (int number = 1; number < NSIG; number++)
        signal(number, number == SIGXFSZ ? SIG_IGN : SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close_files();
}

/* ---- limits ---- */

/* Bytes of address space in use; 0 where that cannot be found out. */
static size_t address_space(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    return size > 0 ? strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static void lower(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit now;
    if (getrlimit(resource, &now) != 0)
        return;
    now.rlim_max = hard < now.rlim_max ? hard : now.rlim_max;
    now.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max;
    setrlimit(resource, &now);
}

static void limit(const struct sal_sandbox_limits *limits)
{
    /* Sanitizers reserve terabytes of addresses. */
    size_t memory;
    if (!SANITIZED &&
        !__builtin_add_overflow(address_space(), limits->memory, &memory))
        lower(RLIMIT_AS, memory, memory);
    /* A second between the signal that tells and the one that ends. */
    lower(RLIMIT_CPU, limits->seconds, (rlim_t)limits->seconds + 1);
    lower(RLIMIT_CORE, 0, 0);
    lower(RLIMIT_FSIZE, 0, 0);
    lower(RLIMIT_NPROC, 0, 0);
}

const char *sandbox_confine(const struct sandbox_filter *filter,
                            const struct sal_sandbox_limits *limits)
{
    const char *missing = NULL;
    limit(limits);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        missing = "this kernel has no no_new_privs";
    if (!landlock_everything())
        missing = "this kernel has no Landlock";
    lower(RLIMIT_NOFILE, 0, 0); /* Landlock was the last to need one */
    struct sock_fprog program = {
        .len = filter->size,
        .filter = (struct sock_filter *)(uintptr_t)filter->code,
    };
    if (!filter->size ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        missing = "this kernel has no seccomp filter";
    return missing;
}
