#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"

/* ---- children --------------------------------------------------------------- */

static void passes(struct result *result)
{
    result->outcome = OUTCOME_PASS;
}

static void fails(struct result *result)
{
    result->outcome = OUTCOME_FAIL;
}

static void skips(struct result *result)
{
    result->outcome = OUTCOME_SKIP_OP;
    snprintf(result->what, sizeof(result->what), "Loop");
}

static void loops(struct result *result)
{
    for (volatile long i = 0;; i++)
        result->sets = (int)i & 1;
}

/* Takes what it is given; memory that never ends would be a pass. */
static void hoards(struct result *result)
{
    enum { PIECE = 16 << 20, MOST = 256 };
    result->outcome = OUTCOME_PASS;
    for (int i = 0; i < MOST; i++) {
        char *piece = malloc(PIECE);
        if (!piece) {
            result->outcome = OUTCOME_FAIL;
            snprintf(result->what, sizeof(result->what), "memory");
            return;
        }
        memset(piece, i + 1, PIECE);
    }
}

/* Nothing is wrong with it where nobody looks. */
static void leaks(struct result *result)
{
    char *volatile piece = malloc(64);
    result->outcome = piece ? OUTCOME_PASS : OUTCOME_FAIL;
    piece = NULL;
}

static void reads_nowhere(struct result *result)
{
    volatile int *volatile nowhere = NULL;
    result->sets = *nowhere;
}

static void gives_up(struct result *result)
{
    (void)result;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void is_silent(struct result *result)
{
    (void)result;
    _exit(0);
}

static void leaves(struct result *result)
{
    result->outcome = OUTCOME_PASS;
    exit(3);
}

/* Says that all is well and then dies: as a leak found at the end. */
static void die_late(void)
{
    _exit(23);
}

static void dies_late(struct result *result)
{
    result->outcome = OUTCOME_PASS;
    atexit(die_late);
}

static void hang_late(void)
{
    pause();
}

static void hangs_late(struct result *result)
{
    result->outcome = OUTCOME_PASS;
    atexit(hang_late);
}

static const struct {
    const char *name;
    void (*run)(struct result *result);
    const char *expected;
    bool limited;          /* needs RLIMIT_AS */
    const char *sanitized; /* expected under a sanitizer, where that differs */
} cases[] = {
    {"dies-late", dies_late, "crash(exit 23)", false, NULL},
    {"fails", fails, "fail", false, NULL},
    {"gives-up", gives_up, "crash(SIGABRT)", false, NULL},
    {"hangs-late", hangs_late, "crash(time)", false, NULL},
    {"hoards", hoards, "fail(memory)", true, NULL},
    {"is-silent", is_silent, "crash(silent)", false, NULL},
    {"leaks", leaks, "pass", false, "crash(exit 1)"},
    {"leaves", leaves, "crash(exit 3)", false, NULL},
    {"loops", loops, "crash(time)", false, NULL},
    {"passes", passes, "pass", false, NULL},
    {"reads-nowhere", reads_nowhere, "crash(SIGSEGV)", false, "crash(exit 1)"},
    {"skips", skips, "skip(op: Loop)", false, NULL},
};
enum { N_CASES = sizeof(cases) / sizeof(*cases) };

static void run_case(const struct test *test, struct result *result)
{
    for (int i = 0; i < N_CASES; i++)
        if (strcmp(cases[i].name, test->name) == 0)
            cases[i].run(result);
}

/* ---- what the parent says of them ------------------------------------------- */

static int check_child(const struct test *test)
{
    char text[96];
    int i = 0;
    while (strcmp(cases[i].name, test->name) != 0)
        i++;
    const char *expected =
        SANITIZED && cases[i].sanitized ? cases[i].sanitized : cases[i].expected;
    bool good = strcmp(outcome_text(&test->result, text, sizeof(text)), expected) == 0;
    printf("%s  a child that %s: %s%s%s\n", good ? "ok  " : "FAIL", test->name, text,
           good ? "" : ", expected ", good ? "" : expected);
    return !good;
}

static int check_children(void)
{
    struct tests tests = {.at = calloc(N_CASES, sizeof(*tests.at))};
    int faults = !tests.at;
    for (int i = 0; i < N_CASES && tests.at; i++)
        if (!(SANITIZED && cases[i].limited))
            tests.at[tests.n++].name = strdup(cases[i].name);
    farm_run(&(struct farm){.jobs = 4, .seconds = 2, .memory = (size_t)256 << 20}, &tests,
             run_case);
    for (int i = 0; i < tests.n; i++)
        faults += check_child(&tests.at[i]);
    tests_release(&tests);
    return faults;
}

static int check_difference(const struct tests *tests, const char *list, int expected,
                            const char *what)
{
    char path[] = "/tmp/saliscope-list-XXXXXX";
    int fd = mkstemp(path);
    bool written = fd >= 0 && write(fd, list, strlen(list)) == (ssize_t)strlen(list);
    if (fd >= 0)
        close(fd);
    FILE *nowhere = fopen("/dev/null", "w");
    int differ = written && nowhere ? list_compare(tests, path, nowhere) : -2;
    if (nowhere)
        fclose(nowhere);
    unlink(path);
    bool good = differ == expected;
    printf("%s  a list %s: %d differ\n", good ? "ok  " : "FAIL", what, differ);
    return !good;
}

/* A list of three, against what passes and what is skipped. */
static int check_lists(void)
{
    char a[] = "a", b[] = "b", c[] = "c";
    struct test three[] = {
        {.name = a, .result.outcome = OUTCOME_PASS},
        {.name = b, .result.outcome = OUTCOME_SKIP_OP, .result.what = "Loop"},
        {.name = c, .result.outcome = OUTCOME_PASS, .result.constants = true},
    };
    const struct tests tests = {three, 3};
    static const char same[] = "a pass\nb skip(op: Loop)\nc pass(constants)\n";
    static const char skip_for_pass[] = "a pass\nb pass\nc pass(constants)\n";
    static const char new_pass[] = "a fail\nb skip(op: Loop)\nc pass(constants)\n";
    static const char other_reason[] = "a pass\nb skip(op: If)\nc pass(constants)\n";
    static const char folded[] = "a pass\nb skip(op: Loop)\nc pass\n";
    static const char gone[] = "a pass\naa pass\nb skip(op: Loop)\nc pass(constants)\n"
                               "d pass\n";
    static const char added[] = "b skip(op: Loop)\n";
    static const char malformed[] = "a pass\nb skip(op: Loop)\nc\n";
    return check_difference(&tests, same, 0, "that is right") +
           check_difference(&tests, skip_for_pass, 1,
                            "with a pass that is now a skip") +
           check_difference(&tests, new_pass, 1, "with a failure that now passes") +
           check_difference(&tests, other_reason, 1, "with another reason to skip") +
           check_difference(&tests, folded, 1, "with a pass that now needs constants") +
           check_difference(&tests, gone, 2, "with tests that are gone") +
           check_difference(&tests, added, 2, "without tests that are new") +
           check_difference(&tests, malformed, 2, "that is malformed");
}

int self_test(void)
{
    return check_children() + check_lists() != 0;
}
