#include "packs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SLAB = 64 << 20, HUGE = 2 << 20, BUCKETS = 256 };

struct sal_pack {
    struct sal_pack *next;
    struct sal_pack_key key;
    sal_real *data;
    pthread_mutex_t filling;
    atomic_bool filled;
};

/* Mapped in huge pages: faults would cost more than packing. They are large, so that few
 * huge pages are filled in part; what is not filled takes no memory. */
struct slab {
    struct slab *next;
    char *data;
    size_t size, used;
};

struct sal_packs {
    pthread_mutex_t lock;
    struct sal_pack *buckets[BUCKETS];
    struct slab *slabs;
};

struct sal_packs *sal_packs_open(void)
{
    struct sal_packs *packs = calloc(1, sizeof(*packs));
    if (packs)
        pthread_mutex_init(&packs->lock, NULL);
    return packs;
}

void sal_packs_close(struct sal_packs *packs)
{
    if (!packs)
        return;
    for (int i = 0; i < BUCKETS; i++)
        for (struct sal_pack *pack = packs->buckets[i], *next; pack; pack = next) {
            next = pack->next;
            pthread_mutex_destroy(&pack->filling);
            free(pack);
        }
    for (struct slab *slab = packs->slabs, *next; slab; slab = next) {
        next = slab->next;
        munmap(slab->data, slab->size);
        free(slab);
    }
    pthread_mutex_destroy(&packs->lock);
    free(packs);
}

static struct slab *slab_new(struct sal_packs *packs, size_t size)
{
    size = size < SLAB ? SLAB : (size + HUGE - 1) / HUGE * HUGE;
    struct slab *slab = calloc(1, sizeof(*slab));
    void *data = slab ? mmap(NULL, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                      : MAP_FAILED;
    if (data == MAP_FAILED) {
        free(slab);
        return NULL;
    }
    madvise(data, size, MADV_HUGEPAGE);
    *slab = (struct slab){.next = packs->slabs, .data = data, .size = size};
    packs->slabs = slab;
    return slab;
}

static sal_real *reserve(struct sal_packs *packs, size_t reals)
{
    if (reals > ((size_t)-1 >> 1) / sizeof(sal_real))
        return NULL;
    size_t size = (reals * sizeof(sal_real) + 63) / 64 * 64;
    struct slab *slab = packs->slabs;
    while (slab && slab->size - slab->used < size)
        slab = slab->next;
    if (!slab)
        slab = slab_new(packs, size);
    if (!slab)
        return NULL;
    void *at = slab->data + slab->used;
    slab->used += size;
    return at;
}

static bool same_key(const struct sal_pack_key *a, const struct sal_pack_key *b)
{
    return a->weight == b->weight && a->scale == b->scale && a->user == b->user &&
           a->form == b->form && a->lanes == b->lanes;
}

static struct sal_pack *pack_new(struct sal_packs *packs, const struct sal_pack_key *key,
                                 size_t reals)
{
    struct sal_pack *pack = calloc(1, sizeof(*pack));
    sal_real *data = pack ? reserve(packs, reals) : NULL;
    if (!data) {
        free(pack);
        return NULL;
    }
    pack->key = *key;
    pack->data = data;
    pthread_mutex_init(&pack->filling, NULL);
    return pack;
}

struct sal_pack *sal_packs_find(struct sal_packs *packs, struct sal_pack_key key,
                                size_t reals)
{
    struct sal_pack **bucket = &packs->buckets[(unsigned)(key.weight * 4 + key.form) % BUCKETS];
    pthread_mutex_lock(&packs->lock);
    struct sal_pack *pack = *bucket;
    while (pack && !same_key(&pack->key, &key))
        pack = pack->next;
    if (!pack && (pack = pack_new(packs, &key, reals))) {
        pack->next = *bucket;
        *bucket = pack;
    }
    pthread_mutex_unlock(&packs->lock);
    return pack;
}

const sal_real *sal_pack_data(struct sal_pack *pack,
                              void (*fill)(const void *context, sal_real *to),
                              const void *context)
{
    if (!atomic_load_explicit(&pack->filled, memory_order_acquire)) {
        pthread_mutex_lock(&pack->filling);
        if (!atomic_load_explicit(&pack->filled, memory_order_relaxed))
            fill(context, pack->data);
        atomic_store_explicit(&pack->filled, true, memory_order_release);
        pthread_mutex_unlock(&pack->filling);
    }
    return pack->data;
}
