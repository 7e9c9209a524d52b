/*
 * The walls of the sandbox. The filter is made before the fork, where it may
 * allocate; the rest is called in the child, once, and only makes system calls.
 * None of it can be undone.
 */
#ifndef SALISCOPE_BASE_SANDBOX_CONFINE_H
#define SALISCOPE_BASE_SANDBOX_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>

#include "saliscope/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { SANDBOX_FILTER_MAX = 256 };

struct sandbox_filter {
    unsigned short size; /* instructions; 0: there is none */
    struct sock_filter code[SANDBOX_FILTER_MAX];
};

/* The Landlock version of this kernel; 0: none. */
int sandbox_landlock_abi(void);

/* The allow-list of system calls, compiled. False leaves an empty filter. */
bool sandbox_filter_build(struct sandbox_filter *filter);

/* Cuts what ties the child to its parent: terminal, signal handlers, open files.
 * Dies with the parent. A sanitised build keeps standard error, for reports. */
void sandbox_detach(int parent);

/* Puts up every wall the kernel offers; returns the first one that is missing,
 * as the end of a sentence, or NULL. */
const char *sandbox_confine(const struct sandbox_filter *filter,
                            const struct sal_sandbox_limits *limits);

#endif
