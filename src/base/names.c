#include "saliscope/names.h"

#include <string.h>
#include <sys/auxv.h>

static uint64_t process_key(void)
{
    uint64_t key = UINT64_C(0x9e3779b97f4a7c15);
    unsigned long address = getauxval(AT_RANDOM);
    if (address)
        memcpy(&key, (const void *)address, sizeof key);
    return key | 1;
}

bool sal_names_init(struct sal_names *names, struct sal_arena *arena, size_t most)
{
    size_t capacity = 4;
    while (capacity / 2 < most && capacity < SIZE_MAX / 4)
        capacity *= 2;
    names->slots = sal_new(arena, struct sal_name, capacity);
    names->mask = capacity - 1;
    names->key = process_key();
    return names->slots != NULL;
}

static uint64_t hash_of(const struct sal_names *names, const char *text)
{
    uint64_t hash = names->key;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * names->key + (hash >> 47);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

/* Its slot, or the free one where it belongs: the table is never full. */
static struct sal_name *slot_of(const struct sal_names *names, const char *text,
                                uint64_t hash)
{
    size_t i = hash & names->mask;
    while (names->slots[i].text &&
           (names->slots[i].hash != hash || strcmp(names->slots[i].text, text) != 0))
        i = (i + 1) & names->mask;
    return &names->slots[i];
}

struct sal_name *sal_names_find(const struct sal_names *names, const char *text)
{
    struct sal_name *slot = slot_of(names, text, hash_of(names, text));
    return slot->text ? slot : NULL;
}

struct sal_name *sal_names_add(struct sal_names *names, const char *text, int value)
{
    uint64_t hash = hash_of(names, text);
    struct sal_name *slot = slot_of(names, text, hash);
    if (slot->text)
        return slot;
    *slot = (struct sal_name){text, hash, value};
    return NULL;
}
