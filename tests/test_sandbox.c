#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox_confine.h"
#include "saliscope/pool.h"
#include "saliscope/sandbox.h"

/* Enough for valgrind and a busy machine. */
static const struct sal_sandbox_limits roomy = {.memory = 1u << 30, .seconds = 20};
static const struct sal_sandbox_limits tight = {.memory = 64u << 20, .seconds = 1};

/* ---- works ---- */

static enum sal_status count(void *context, void *reply, size_t size,
                             struct sal_error *err)
{
    (void)err;
    uint8_t *bytes = reply;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(bytes[i] + i + *(const int *)context);
    return SAL_OK;
}

static enum sal_status refuse(void *context, void *reply, size_t size,
                              struct sal_error *err)
{
    (void)reply, (void)size;
    return sal_fail(err, *(const int *)context, "row %d: expects 3", 7);
}

static enum sal_status answer_nonsense(void *context, void *reply, size_t size,
                                       struct sal_error *err)
{
    (void)context, (void)reply, (void)size;
    memset(err->text, 'x', sizeof(err->text));
    return (enum sal_status)(*(int *)context);
}

static enum sal_status write_wildly(void *context, void *reply, size_t size,
                                          struct sal_error *err)
{
    (void)context, (void)reply, (void)size, (void)err;
    raise(SIGSEGV); /* refused by the filter */
    *(volatile int *)context = 1;
    return SAL_OK;
}

static enum sal_status call_abort(void *context, void *reply, size_t size,
                                  struct sal_error *err)
{
    (void)context, (void)reply, (void)size, (void)err;
    abort();
}

static enum sal_status call_exit(void *context, void *reply, size_t size,
                                 struct sal_error *err)
{
    (void)context, (void)reply, (void)size, (void)err;
    _exit(0);
}

static enum sal_status spin(void *context, void *reply, size_t size,
                            struct sal_error *err)
{
    (void)context, (void)reply, (void)size;
    volatile unsigned i = 0;
    while (err)
        i++;
    return SAL_OK;
}

static enum sal_status sleep_for_ever(void *context, void *reply, size_t size,
                                      struct sal_error *err)
{
    (void)context, (void)reply, (void)size;
    static atomic_int word; /* a wait the filter allows */
    while (err)
        syscall(SYS_futex, &word, 0 /* wait */, 0, NULL, NULL, 0);
    return SAL_OK;
}

static enum sal_status eat_memory(void *context, void *reply, size_t size,
                                  struct sal_error *err)
{
    (void)context, (void)reply, (void)size;
    for (size_t eaten = 0; eaten < (size_t)1 << 32; eaten += 1u << 20) {
        char *memory = malloc(1u << 20);
        if (!memory)
            return sal_fail(err, SAL_LIMIT, "no memory after %zu MiB", eaten >> 20);
        memory[0] = memory[4096] = 1;
    }
    return SAL_OK;
}

/* One reply byte for each forbidden thing that was done all the same. */
static enum sal_status try_everything(void *context, void *reply, size_t size,
                                      struct sal_error *err)
{
    (void)size, (void)err;
    const int *fds = context;
    uint8_t *done = reply;
    char *none[] = {NULL};
    char byte;
    int word = 0;
    done[0] = open("/etc/passwd", O_RDONLY) >= 0;
    done[1] = open("/tmp", O_TMPFILE | O_WRONLY, 0600) >= 0;
    done[2] = socket(AF_INET, SOCK_STREAM, 0) >= 0;
    done[3] = socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
    done[4] = syscall(SYS_fork) >= 0;
    done[5] = execve("/bin/true", none, none) == 0;
    done[6] = ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
    done[7] = kill(fds[2], 0) == 0;
    done[8] = personality(0xffffffff) >= 0;
    done[9] = read(fds[0], &byte, 1) >= 0 || errno != EBADF;
    done[10] = write(fds[1], "x", 1) >= 0 || errno != EBADF;
    done[11] = unlink("/tmp/nothing-here") == 0 || errno == ENOENT;
    done[12] = prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
    done[13] = memfd_create("x", 0) >= 0;
    done[14] = syscall(SYS_setpgid, 0, 0) == 0;
    done[15] = syscall(SYS_process_vm_readv, fds[2], NULL, 0, NULL, 0, 0) == 0;
    done[16] = syscall(SYS_io_uring_setup, 1, &word) >= 0 || errno == EFAULT;
    done[17] = dup(1) >= 0;
    done[18] = syscall(SYS_clone3, NULL, 0) >= 0 || errno == EINVAL;
    done[19] = 2;
    return SAL_OK;
}

static enum sal_status show_descriptors(void *context, void *reply, size_t size,
                                        struct sal_error *err)
{
    (void)context, (void)size, (void)err;
    int *seen = reply;
    struct stat st;
    for (int fd = 3; fd < 1024; fd++)
        *seen += fstat(fd, &st) == 0;
    return SAL_OK;
}

/* ---- helpers ---- */

/* Valgrind runs our child on its own signals and system calls. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}

static enum sal_status run(enum sal_status (*work)(void *, void *, size_t,
                                                   struct sal_error *),
                           void *context, struct sal_error *err)
{
    void *reply = NULL;
    enum sal_status status =
        sal_sandbox_run(SAL_SANDBOX_BEST, &roomy, work, context, &reply, 64, err);
    if (!status)
        sal_sandbox_reply_release(reply, 64);
    return status;
}

static int open_descriptors(void)
{
    int open = 0;
    for (int fd = 0; fd < 256; fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

/* ---- tests ---- */

static void good_work_returns_its_bytes(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    for (int mode = SAL_SANDBOX_BEST; mode <= SAL_SANDBOX_OFF; mode++) {
        if (mode == SAL_SANDBOX_REQUIRE && !sal_sandbox_probe().landlock_abi)
            continue;
        int start = 40 + mode;
        void *reply;
        struct sal_error err = {0};
        assert_int_equal(
            sal_sandbox_run(mode, &roomy, count, &start, &reply, SIZE, &err), SAL_OK);
        const uint8_t *bytes = reply;
        int wrong = 0;
        for (int i = 0; i < SIZE; i++)
            wrong += bytes[i] != (uint8_t)(i + start);
        assert_int_equal(wrong, 0);
        assert_string_equal(err.text, "");
        sal_sandbox_reply_release(reply, SIZE);
    }
}

static void no_reply_is_a_reply(void **state)
{
    (void)state;
    int start = 0;
    void *reply = &start;
    assert_int_equal(
        sal_sandbox_run(SAL_SANDBOX_BEST, &roomy, count, &start, &reply, 0, NULL),
        SAL_OK);
    assert_null(reply);
    sal_sandbox_reply_release(reply, 0);
}

static void refusal_is_the_same_with_and_without_sandbox(void **state)
{
    (void)state;
    for (int wanted = SAL_NO; wanted <= SAL_CANCELLED; wanted++)
        for (int mode = SAL_SANDBOX_BEST; mode <= SAL_SANDBOX_OFF; mode += 2) {
            struct sal_error err = {0};
            void *reply;
            assert_int_equal(
                sal_sandbox_run(mode, &roomy, refuse, &wanted, &reply, 64, &err),
                wanted);
            assert_int_equal(err.status, wanted);
            assert_string_equal(err.text, "row 7: expects 3");
        }
}

static void answer_of_the_child_is_not_trusted(void **state)
{
    (void)state;
    static const int statuses[] = {-1, SAL_CANCELLED + 1, 1 << 30};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        struct sal_error err = {0};
        int status = statuses[i];
        assert_int_equal(run(answer_nonsense, &status, &err), SAL_BAD_INPUT);
        assert_string_equal(err.text, "the decoder gave no valid answer");
    }
    struct sal_error err = {0};
    int status = SAL_LIMIT;
    assert_int_equal(run(answer_nonsense, &status, &err), SAL_LIMIT);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

/* Forbidden things that could be done inside; -1 when the work did not end. */
static int count_forbidden(void)
{
    int fds[3];
    if (pipe(fds) != 0)
        return -1;
    fds[2] = getpid();
    void *reply;
    int count_done = -1;
    if (sal_sandbox_run(SAL_SANDBOX_BEST, &roomy, try_everything, fds, &reply, 64,
                        NULL) == SAL_OK) {
        const uint8_t *done = reply;
        count_done = done[19] == 2 ? 0 : -1;
        for (int i = 0; i < 19; i++)
            if (done[i]) {
                print_message("forbidden thing %d was done\n", i);
                count_done++;
            }
        sal_sandbox_reply_release(reply, 64);
    }
    close(fds[0]);
    close(fds[1]);
    return count_done;
}

static void child_can_do_nothing(void **state)
{
    (void)state;
    if (under_valgrind()) {
        print_message("skip: valgrind does not know these system calls\n");
        skip();
    }
    assert_int_equal(count_forbidden(), 0);
}

static void child_inherits_no_descriptor(void **state)
{
    (void)state;
    int fd = open("/dev/zero", O_RDONLY);
    int high = fcntl(fd, F_DUPFD, 200);
    int *reply;
    assert_int_equal(sal_sandbox_run(SAL_SANDBOX_BEST, &roomy, show_descriptors, NULL,
                                     (void **)&reply, sizeof(int), NULL),
                     SAL_OK);
    assert_int_equal(*reply, 0);
    sal_sandbox_reply_release(reply, sizeof(int));
    close(fd);
    close(high);
}

static void crash_is_an_error_message(void **state)
{
    (void)state;
    struct sal_error err = {0};
    assert_int_equal(run(write_wildly, (void *)64, &err), SAL_BAD_INPUT);
    if (!under_valgrind())
        assert_string_equal(err.text,
                            "the decoder crashed (signal 11); the file is malformed");
    assert_non_null(strstr(err.text, "crashed"));
    err = (struct sal_error){0};
    assert_int_equal(run(call_abort, NULL, &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "crashed"));
    err = (struct sal_error){0};
    assert_int_equal(run(call_exit, NULL, &err), SAL_BAD_INPUT);
    assert_string_equal(err.text,
                        "the decoder crashed (exit 0); the file is malformed");
}

static void endless_work_is_over_the_limit(void **state)
{
    (void)state;
    void *reply;
    struct sal_error err = {0};
    assert_int_equal(
        sal_sandbox_run(SAL_SANDBOX_BEST, &tight, spin, NULL, &reply, 64, &err),
        SAL_LIMIT);
    if (!under_valgrind())
        assert_string_equal(err.text, "decoding took more than 1 s");
}

static void sleeping_work_is_over_the_limit(void **state)
{
    (void)state;
    void *reply;
    struct sal_error err = {0};
    assert_int_equal(sal_sandbox_run(SAL_SANDBOX_BEST, &tight, sleep_for_ever, NULL,
                                     &reply, 64, &err),
                     SAL_LIMIT);
    assert_string_equal(err.text, "decoding took more than 1 s");
}

static void memory_bomb_is_over_the_limit(void **state)
{
    (void)state;
    if (SANITIZED || under_valgrind()) {
        print_message("skip: memory is not limited under this tool\n");
        skip();
    }
    /* However big the parent already is. */
    size_t size = 300u << 20;
    char *big = malloc(size);
    memset(big, 1, size);
    struct sal_error err = {0};
    void *reply;
    int eaten = 0;
    assert_int_equal(
        sal_sandbox_run(SAL_SANDBOX_BEST, &tight, eat_memory, NULL, &reply, 64, &err),
        SAL_LIMIT);
    assert_int_equal(sscanf(err.text, "no memory after %d MiB", &eaten), 1);
    assert_in_range(eaten, 32, 64);
    free(big);
}

static void many_runs_leave_nothing_behind(void **state)
{
    (void)state;
    int before = open_descriptors(), start = 0;
    sigset_t mask, after;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(run(count, &start, NULL), SAL_OK);
        assert_int_equal(run(call_exit, NULL, NULL), SAL_BAD_INPUT);
    }
    assert_int_equal(open_descriptors(), before);
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&mask, number), sigismember(&after, number));
}

static void children_nobody_waits_for_still_answer(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    int start = 0;
    assert_int_equal(run(count, &start, NULL), SAL_OK);
    assert_int_equal(run(call_exit, NULL, NULL), SAL_BAD_INPUT);
    signal(SIGCHLD, SIG_DFL);
}

static atomic_bool enough;

static void keep_busy(void *context, int tile, int worker)
{
    (void)context, (void)worker;
    volatile double x = tile;
    for (int i = 0; i < 100000; i++)
        x = x * 1.0000001 + 1;
    char *memory = SANITIZED ? NULL : malloc(100 + (size_t)tile);
    free(memory);
}

static void *keep_pool_busy(void *pool)
{
    while (!atomic_load(&enough))
        sal_pool_run(pool, 64, keep_busy, NULL);
    return NULL;
}

static void *run_twenty(void *failures)
{
    int start = 3;
    for (int i = 0; i < 20; i++)
        *(int *)failures += run(count, &start, NULL) != SAL_OK;
    return NULL;
}

static void second_thread_may_decode_while_a_pool_is_busy(void **state)
{
    (void)state;
    struct sal_pool *pool;
    assert_int_equal(sal_pool_open(&pool, 2, NULL), SAL_OK);
    pthread_t busy, decoder[2];
    int failures[2] = {0};
    atomic_store(&enough, false);
    assert_int_equal(pthread_create(&busy, NULL, keep_pool_busy, pool), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&decoder[i], NULL, run_twenty, &failures[i]),
                         0);
    for (int i = 0; i < 2; i++)
        pthread_join(decoder[i], NULL);
    atomic_store(&enough, true);
    pthread_join(busy, NULL);
    sal_pool_close(pool);
    assert_int_equal(failures[0] + failures[1], 0);
}

/* Each wall must hold when the other is not there. */
static void landlock_alone_changes_nothing(void **state)
{
    (void)state;
    if (!sal_sandbox_probe().landlock_abi) {
        print_message("skip: this kernel has no Landlock\n");
        skip();
    }
    char name[] = "/tmp/saliscope-sandbox-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    pid_t child = fork();
    if (child == 0) {
        struct sandbox_filter none = {0};
        const char *missing = sandbox_confine(&none, &roomy);
        bool told = missing && strstr(missing, "seccomp");
        bool unopened = open(name, O_RDONLY) < 0 && errno == EMFILE;
        bool kept = unlink(name) < 0 && errno == EACCES;
        _exit((told ? 0 : 1) | (unopened ? 0 : 2) | (kept ? 0 : 4));
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    unlink(name);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

/* Makes Landlock's first call fail as on a kernel that lacks it. */
static void forget_landlock(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 444, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static int decode_without_landlock(void)
{
    forget_landlock();
    int start = 0;
    void *reply;
    struct sal_error err = {0};
    char text[128];
    if (sal_sandbox_run(SAL_SANDBOX_REQUIRE, &roomy, count, &start, &reply, 64, &err) !=
            SAL_BAD_INPUT ||
        strcmp(err.text, "sandbox required, but this kernel has no Landlock") != 0)
        return 1;
    sal_sandbox_describe(text, sizeof(text), SAL_SANDBOX_BEST);
    if (strcmp(text, "seccomp + rlimit (this kernel has no Landlock)") != 0)
        return 2;
    sal_sandbox_describe(text, sizeof(text), SAL_SANDBOX_REQUIRE);
    if (strcmp(text, "unavailable: this kernel has no Landlock") != 0)
        return 3;
    return run(count, &start, NULL) == SAL_OK ? count_forbidden() : 4;
}

static void kernel_without_landlock_is_told(void **state)
{
    (void)state;
    if (under_valgrind()) {
        print_message("skip: valgrind hides seccomp and Landlock\n");
        skip();
    }
    pid_t child = fork();
    if (child == 0)
        _exit(decode_without_landlock());
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

static void posture_is_described_in_a_line(void **state)
{
    (void)state;
    char text[128], expected[128];
    struct sal_sandbox_posture posture = sal_sandbox_probe();
    if (posture.landlock_abi && posture.seccomp) {
        snprintf(expected, sizeof(expected), "landlock v%d + seccomp + rlimit",
                 posture.landlock_abi);
        assert_string_equal(sal_sandbox_describe(text, sizeof(text), SAL_SANDBOX_BEST),
                            expected);
    }
    assert_string_equal(sal_sandbox_describe(text, sizeof(text), SAL_SANDBOX_OFF),
                        "off");
    assert_string_equal(sal_sandbox_describe(text, 3, SAL_SANDBOX_OFF), "of");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_work_returns_its_bytes),
        cmocka_unit_test(no_reply_is_a_reply),
        cmocka_unit_test(refusal_is_the_same_with_and_without_sandbox),
        cmocka_unit_test(answer_of_the_child_is_not_trusted),
        cmocka_unit_test(child_can_do_nothing),
        cmocka_unit_test(child_inherits_no_descriptor),
        cmocka_unit_test(crash_is_an_error_message),
        cmocka_unit_test(endless_work_is_over_the_limit),
        cmocka_unit_test(sleeping_work_is_over_the_limit),
        cmocka_unit_test(memory_bomb_is_over_the_limit),
        cmocka_unit_test(many_runs_leave_nothing_behind),
        cmocka_unit_test(children_nobody_waits_for_still_answer),
        cmocka_unit_test(second_thread_may_decode_while_a_pool_is_busy),
        cmocka_unit_test(landlock_alone_changes_nothing),
        cmocka_unit_test(kernel_without_landlock_is_told),
        cmocka_unit_test(posture_is_described_in_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
