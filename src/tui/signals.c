#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALT_STACK = 1 << 16 };

static const struct {
    int signal;
    bool crash;
} watched[] = {
    {SIGINT, false},  {SIGTERM, false}, {SIGHUP, false}, {SIGTSTP, false},
    {SIGCONT, false}, {SIGWINCH, false}, {SIGSEGV, true}, {SIGBUS, true},
    {SIGILL, true},   {SIGFPE, true},   {SIGABRT, true},
};
enum { WATCHED = sizeof(watched) / sizeof(*watched) };

/* Handlers cannot be given anything: what they need lies here. */
static struct {
    volatile sig_atomic_t owner; /* process id; 0: closed */
    int pipe[2];
    struct sigaction before[WATCHED], before_pipe;
    stack_t stack, stack_before;
    volatile sig_atomic_t armed; /* rescue is set */
    struct sal_rescue rescue;
} self;

static void note(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    if (self.owner == getpid() && write(self.pipe[1], &byte, 1) < 0) {
        /* A full pipe already holds more than the loop needs to know. */
    }
    errno = saved;
}

/* From here to crash(): only what POSIX calls async-signal-safe. */
static void put(int fd, const char *text, size_t size)
{
    if (write(fd, text, size) < 0) {
        /* The terminal is gone; nothing is left to put back. */
    }
}

static void show_messages(const struct sal_rescue *rescue)
{
    if (rescue->standard_error < 0)
        return;
    dup2(rescue->standard_error, STDERR_FILENO);
    char text[1024];
    ssize_t size;
    for (off_t at = 0; (size = pread(rescue->messages, text, sizeof(text), at)) > 0;
         at += size)
        put(STDERR_FILENO, text, (size_t)size);
}

/* Puts the terminal back, then lets whoever was responsible before have the
 * signal. */
static void crash(int number)
{
    if (self.armed && self.owner == getpid()) {
        self.armed = 0;
        put(self.rescue.tty, self.rescue.reset, self.rescue.reset_size);
        tcsetattr(self.rescue.tty, TCSANOW, &self.rescue.mode);
        show_messages(&self.rescue);
    }
    for (int i = 0; i < WATCHED; i++)
        if (watched[i].signal == number)
            sigaction(number, &self.before[i], NULL);
    raise(number);
}

static void install(int i)
{
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = note;
    if (watched[i].crash) {
        action.sa_handler = crash;
        action.sa_flags = SA_ONSTACK | SA_NODEFER;
    }
    sigemptyset(&action.sa_mask);
    sigaction(watched[i].signal, &action, &self.before[i]);
}

enum sal_status sal_signals_open(int *fd, struct sal_error *err)
{
    if (pipe2(self.pipe, O_CLOEXEC | O_NONBLOCK))
        return sal_fail(err, SAL_LIMIT, "no pipe for signals: %s", strerror(errno));
    self.owner = getpid();
    self.stack = (stack_t){.ss_sp = malloc(ALT_STACK), .ss_size = ALT_STACK};
    if (self.stack.ss_sp)
        sigaltstack(&self.stack, &self.stack_before);
    for (int i = 0; i < WATCHED; i++)
        install(i);
    struct sigaction ignore = {0};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &self.before_pipe);
    *fd = self.pipe[0];
    return SAL_OK;
}

void sal_signals_close(void)
{
    if (!self.owner)
        return;
    for (int i = 0; i < WATCHED; i++)
        sigaction(watched[i].signal, &self.before[i], NULL);
    sigaction(SIGPIPE, &self.before_pipe, NULL);
    self.owner = 0;
    if (self.stack.ss_sp)
        sigaltstack(&self.stack_before, NULL);
    free(self.stack.ss_sp);
    self.stack.ss_sp = NULL;
    close(self.pipe[0]);
    close(self.pipe[1]);
}

int sal_signals_take(void)
{
    unsigned char byte;
    return read(self.pipe[0], &byte, 1) == 1 ? byte : 0;
}

void sal_signals_rescue(const struct sal_rescue *rescue)
{
    self.armed = 0;
    if (!rescue)
        return;
    self.rescue = *rescue;
    self.armed = 1;
}

static void with_default(int number)
{
    struct sigaction plain = {0};
    plain.sa_handler = SIG_DFL;
    sigaction(number, &plain, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
}

void sal_signals_stop(void)
{
    struct sigaction ours;
    sigaction(SIGTSTP, NULL, &ours);
    with_default(SIGTSTP);
    sigaction(SIGTSTP, &ours, NULL);
}

void sal_signals_die(int number)
{
    sal_signals_close();
    with_default(number);
    _exit(128 + number);
}
