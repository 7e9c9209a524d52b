#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "saliscope/text.h"

/* What a handler may touch: set before it is installed, or atomic. */
static volatile sig_atomic_t interrupts;
static char shrunk[512];

static void on_interrupt(int number)
{
    (void)number;
    static const char text[] = "saliscope: cancelled\n";
    if (interrupts++ == 0)
        return;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(130);
}

static void on_bus_error(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, shrunk, strlen(shrunk));
    _exit(3);
}

void cli_catch_signals(const char *model)
{
    char clean[400];
    snprintf(shrunk, sizeof(shrunk),
             "saliscope: %s: the file became shorter while it was in use\n",
             sal_text_clean(clean, sizeof(clean), model));
    struct sigaction action = {.sa_handler = on_bus_error};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
    struct sigaction before;
    action.sa_handler = on_interrupt;
    if (sigaction(SIGINT, &action, &before) == 0 && before.sa_handler == SIG_IGN)
        sigaction(SIGINT, &before, NULL); /* a shell's background job */
}

bool cli_interrupted(void)
{
    return interrupts > 0;
}
