/*
 * The sandbox in which hostile bytes are decoded.
 *
 * A decoder runs in a forked child that can open nothing, talk to nobody, and
 * has bounded memory and time: resource limits, no_new_privs, a Landlock ruleset
 * that grants nothing (where the kernel has Landlock), and a seccomp filter that
 * allows memory, clock and exit. The bytes it reads are already in memory; what
 * it makes goes into one shared mapping, which the parent validates. A crash in
 * the decoder is an error message in the parent. Costs about a millisecond.
 * May be called from any thread.
 */
#ifndef SALISCOPE_SANDBOX_H
#define SALISCOPE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "saliscope/status.h"

enum sal_sandbox_mode {
    SAL_SANDBOX_BEST,    /* all the kernel offers (default) */
    SAL_SANDBOX_REQUIRE, /* refuse to decode unless seccomp and Landlock hold */
    SAL_SANDBOX_OFF,     /* decode in this process: for debugging only */
};

/* What this kernel offers. */
struct sal_sandbox_posture {
    bool seccomp;
    int landlock_abi; /* 0: none */
};

struct sal_sandbox_posture sal_sandbox_probe(void);

/* "landlock v7 + seccomp + rlimit", or what is missing; dst is terminated. */
char *sal_sandbox_describe(char *dst, size_t capacity, enum sal_sandbox_mode mode);

struct sal_sandbox_limits {
    size_t memory;    /* most bytes the child may allocate */
    unsigned seconds; /* most processor time */
};

/* Runs work(context, reply, reply_size, err) inside the sandbox. reply is
 * zeroed memory shared with the child; only what the child writes there comes
 * back. The returned status and err are the child's own; a child that was
 * killed or ran out of its limits gives SAL_BAD_INPUT or SAL_LIMIT. On SAL_OK
 * the caller owns *reply until sal_sandbox_reply_release. */
enum sal_status sal_sandbox_run(enum sal_sandbox_mode mode,
                                const struct sal_sandbox_limits *limits,
                                enum sal_status (*work)(void *context, void *reply,
                                                        size_t reply_size,
                                                        struct sal_error *err),
                                void *context, void **reply, size_t reply_size,
                                struct sal_error *err);
void sal_sandbox_reply_release(void *reply, size_t reply_size);

#endif
