#include "saliscope/names.h"

#include <stdint.h>
#include <string.h>

struct sal_name {
    const char *text; /* NULL: free */
    int number;
};

/* FNV-1a. A file made to collide costs its owner time, bounded by the limits on
 * names. */
static size_t hash(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

bool sal_names_init(struct sal_names *names, size_t count, struct sal_arena *arena)
{
    size_t slots = 16;
    while (slots < SIZE_MAX / 4 && slots < 2 * count)
        slots *= 2;
    *names = (struct sal_names){
        .slot = sal_new(arena, struct sal_name, slots),
        .mask = slots - 1,
    };
    return names->slot;
}

static struct sal_name *seek(const struct sal_names *names, const char *name)
{
    size_t i = hash(name) & names->mask;
    while (names->slot[i].text && strcmp(names->slot[i].text, name) != 0)
        i = (i + 1) & names->mask;
    return &names->slot[i];
}

int sal_names_add(struct sal_names *names, const char *name, int number)
{
    struct sal_name *slot = seek(names, name);
    if (!slot->text)
        *slot = (struct sal_name){.text = name, .number = number};
    return slot->number;
}

int sal_names_find(const struct sal_names *names, const char *name)
{
    const struct sal_name *slot = seek(names, name);
    return slot->text ? slot->number : -1;
}
