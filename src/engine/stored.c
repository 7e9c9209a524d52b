#include "stored.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "op.h"

enum { PIECE = 2 << 20 };

/* Shared by all copies of a tensor. */
struct sal_stored {
    struct sal_span bytes;
    bool mapped;     /* bytes are a file's, mapped */
    atomic_bool read; /* data holds the values too, or is where they lie */
};

static bool stays(const struct sal_onnx_tensor *source)
{
    int native = sizeof(sal_real) == sizeof(float) ? SAL_ONNX_FLOAT : SAL_ONNX_DOUBLE;
    return source->type == native && !source->typed && source->raw.size >= SAL_STORED_LEAST;
}

enum sal_status sal_stored_tensor(struct sal_tensor *tensor,
                                  const struct sal_onnx_tensor *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    if (!stays(source))
        return sal_tensor_from_onnx(tensor, source, arena, err);
    *tensor = (struct sal_tensor){
        .kind = SAL_REAL, .type = source->type, .shape.rank = source->rank};
    memcpy(tensor->shape.dim, source->dim, sizeof(int64_t) * (size_t)source->rank);
    uintptr_t address = (uintptr_t)source->raw.data;
    bool aligned = address % sizeof(sal_real) == 0;
    tensor->data = aligned ? (void *)address
                           : sal_arena_alloc(arena, source->count, sizeof(sal_real));
    tensor->stored = sal_new(arena, struct sal_stored, 1);
    if (!tensor->data || !tensor->stored)
        return sal_fail(err, SAL_LIMIT, "tensor '%s' is over the memory limit",
                        source->name);
    tensor->stored->bytes = source->raw;
    tensor->stored->mapped = source->mapped;
    atomic_init(&tensor->stored->read, aligned);
    return SAL_OK;
}

const sal_loose *sal_stored_reals(const struct sal_tensor *tensor)
{
    const struct sal_stored *stored = tensor->stored;
    if (stored && !atomic_load_explicit(&stored->read, memory_order_acquire))
        return (const sal_loose *)(const void *)stored->bytes.data;
    return tensor->real;
}

static void let_go(const struct sal_stored *stored, size_t offset, size_t size)
{
    if (stored->mapped)
        sal_file_let_go(stored->bytes.data + offset, size);
}

/* In pieces: large weights are never there twice as a whole. */
static void read_piece(void *context, int tile, int worker)
{
    (void)worker;
    const struct sal_tensor *tensor = context;
    const struct sal_stored *stored = tensor->stored;
    const size_t from = (size_t)tile * PIECE, left = stored->bytes.size - from;
    const size_t size = left < PIECE ? left : PIECE;
    memcpy((char *)tensor->data + from, stored->bytes.data + from, size);
    let_go(stored, from, size);
}

void sal_stored_read(const struct sal_tensor *tensor, struct sal_pool *pool)
{
    static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
    struct sal_stored *stored = tensor->stored;
    if (!stored || atomic_load_explicit(&stored->read, memory_order_acquire))
        return;
    pthread_mutex_lock(&reading);
    if (!atomic_load_explicit(&stored->read, memory_order_relaxed)) {
        struct sal_tensor copy = *tensor;
        sal_pool_run(pool, (int)((stored->bytes.size + PIECE - 1) / PIECE), read_piece, &copy);
        atomic_store_explicit(&stored->read, true, memory_order_release);
    }
    pthread_mutex_unlock(&reading);
}

void sal_stored_let_go(const struct sal_tensor *tensor)
{
    if (tensor->stored)
        let_go(tensor->stored, 0, tensor->stored->bytes.size);
}
