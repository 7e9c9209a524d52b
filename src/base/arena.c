#include "saliscope/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, BLOCK = 64 * 1024, HUGE = 2 << 20 };

struct sal_arena_block {
    struct sal_arena_block *next;
    size_t size, used; /* of the bytes behind this header */
};

static_assert(sizeof(struct sal_arena_block) <= ALIGN, "header fits its padding");

/* Those of a single request are mapped, which zeroes them: what nobody touches takes no
 * memory. Large ones in huge pages: touching weights page by page would cost more than
 * reading them. */
static struct sal_arena_block *block_open(size_t size)
{
    struct sal_arena_block *block = NULL;
    if (size > BLOCK) {
        void *data = mmap(NULL, ALIGN + size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED)
            return NULL;
        if (size >= HUGE)
            madvise(data, ALIGN + size, MADV_HUGEPAGE);
        block = data;
    } else {
        if (posix_memalign((void **)&block, ALIGN, ALIGN + size) != 0)
            return NULL;
        memset(block, 0, ALIGN + size);
    }
    block->size = size;
    return block;
}

static void block_close(struct sal_arena_block *block)
{
    if (block->size > BLOCK)
        munmap(block, ALIGN + block->size);
    else
        free(block);
}

void sal_arena_release(struct sal_arena *arena)
{
    for (struct sal_arena_block *block = arena->block, *next; block; block = next) {
        next = block->next;
        block_close(block);
    }
    *arena = (struct sal_arena){.limit = arena->limit};
}

/* Big requests get a block of their own behind the current one, so that the
 * current one keeps serving small requests. */
static void *alloc_block(struct sal_arena *arena, size_t bytes)
{
    struct sal_arena_block *block = block_open(bytes < BLOCK ? BLOCK : bytes);
    if (!block)
        return NULL;
    block->used = bytes;
    if (arena->block && bytes >= BLOCK) {
        block->next = arena->block->next;
        arena->block->next = block;
    } else {
        block->next = arena->block;
        arena->block = block;
    }
    return (char *)block + ALIGN;
}

void *sal_arena_alloc(struct sal_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (arena->limit &&
        (arena->used > arena->limit || bytes > arena->limit - arena->used))
        return NULL;
    struct sal_arena_block *block = arena->block;
    void *memory;
    if (block && block->size - block->used >= bytes) {
        memory = (char *)block + ALIGN + block->used;
        block->used += bytes;
    } else {
        memory = alloc_block(arena, bytes);
    }
    if (memory)
        arena->used += bytes;
    return memory;
}

char *sal_arena_copy(struct sal_arena *arena, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? sal_arena_alloc(arena, size + 1, 1) : NULL;
    if (copy && size)
        memcpy(copy, text, size);
    return copy;
}

char *sal_arena_format(struct sal_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = size < 0 ? NULL : sal_arena_alloc(arena, (size_t)size + 1, 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}
