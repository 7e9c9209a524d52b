/*
 * Arena: many small allocations, one release.
 *
 * Whatever lives and dies together hangs on one arena; a failed step just
 * returns, and the owner's release frees it all. Memory is zeroed. An arena may
 * carry a limit; an allocation that would pass it, that overflows, or for which
 * there is no memory returns NULL, and callers report SAL_LIMIT. One thread at
 * a time. A zeroed struct is an empty arena without limit.
 */
#ifndef SALISCOPE_ARENA_H
#define SALISCOPE_ARENA_H

#include <stddef.h>

struct sal_arena_block;

struct sal_arena {
    struct sal_arena_block *block;
    size_t used;  /* bytes handed out so far, padding included */
    size_t limit; /* most bytes it may hand out; 0 means no limit */
};

void sal_arena_release(struct sal_arena *arena);

/* count * size bytes, zeroed, aligned to 64. NULL: overflow, limit, no memory.
 * count == 0 gives a valid pointer to nothing. */
void *sal_arena_alloc(struct sal_arena *arena, size_t count, size_t size);

/* A NUL-terminated copy of size bytes at text (which may hold NULs). */
char *sal_arena_copy(struct sal_arena *arena, const char *text, size_t size);

/* printf into the arena. */
char *sal_arena_format(struct sal_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define sal_new(arena, type, count) \
    ((type *)sal_arena_alloc((arena), (count), sizeof(type)))

#endif
