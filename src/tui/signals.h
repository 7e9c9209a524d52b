/*
 * Signals on their way to the main loop, and the rescue of the terminal when the
 * program crashes.
 *
 * Handlers only write one byte to a pipe that the loop polls; a crash handler
 * puts the terminal back and hands the signal on. Signal handlers reach no
 * caller's memory, so this module keeps the one process-wide state of the
 * terminal workbench. Children forked meanwhile are left alone: the handlers act
 * in the process that opened them only. Main thread only.
 */
#ifndef SALISCOPE_TUI_SIGNALS_H
#define SALISCOPE_TUI_SIGNALS_H

#include <stddef.h>
#include <termios.h>

#include "saliscope/status.h"

/* Installs the handlers; *fd becomes readable when a signal has come. */
enum sal_status sal_signals_open(int *fd, struct sal_error *err);

/* Puts back what was there before. */
void sal_signals_close(void);

/* The next signal that has come (SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT,
 * SIGWINCH); 0: none. */
int sal_signals_take(void);

/* What puts the terminal back when the program crashes. */
struct sal_rescue {
    int tty;
    char reset[512]; /* written to it */
    size_t reset_size;
    struct termios mode;
    int standard_error; /* becomes standard error again; -1: it still is */
    int messages;       /* what was printed on it meanwhile, shown first; -1 */
};

/* Copies rescue; NULL: nothing from now on. */
void sal_signals_rescue(const struct sal_rescue *rescue);

/* Stops the process as Ctrl-Z does without a handler; returns when it goes on. */
void sal_signals_stop(void);

/* Ends the process by this signal, as if it had never been caught. */
_Noreturn void sal_signals_die(int signal);

#endif
