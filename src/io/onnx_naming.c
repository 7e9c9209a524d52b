#include "onnx_naming.h"

#include <string.h>

enum { ROOM_MIN = 8 };

int sal_naming_find(const struct sal_naming *naming, const char *name)
{
    const struct sal_name *found = naming->n ? sal_names_find(&naming->names, name) : NULL;
    return found ? found->value : -1;
}

static bool grow(struct sal_naming *naming, struct sal_arena *scratch)
{
    int room = naming->room ? 2 * naming->room : ROOM_MIN;
    const char **text = sal_new(scratch, const char *, room);
    int *number = sal_new(scratch, int, room);
    struct sal_names names, old = naming->names;
    if (!text || !number || !sal_names_init(&names, scratch, (size_t)room))
        return false;
    for (size_t i = 0; naming->n && i <= old.mask; i++) {
        if (old.slots[i].text)
            sal_names_add(&names, old.slots[i].text, old.slots[i].value);
    }
    if (naming->n) {
        memcpy(text, naming->text, sizeof *text * (size_t)naming->n);
        memcpy(number, naming->number, sizeof *number * (size_t)naming->n);
    }
    naming->names = names;
    naming->text = text;
    naming->number = number;
    naming->room = room;
    return true;
}

int sal_naming_add(struct sal_naming *naming, struct sal_arena *scratch, const char *name,
                   const char *text)
{
    if (naming->n == naming->room && !grow(naming, scratch))
        return -1;
    int index = naming->n++;
    sal_names_add(&naming->names, name, index);
    naming->text[index] = text;
    naming->number[index] = 0;
    return index;
}

/* Each base remembers the number it tried last, so that many calls of one name cost
 * one step each. */
const char *sal_naming_unique(struct sal_naming *taken, struct sal_arena *arena,
                              struct sal_arena *scratch, const char *base)
{
    int at = sal_naming_find(taken, base);
    const char *name = base;
    while (at >= 0 && name && sal_naming_find(taken, name) >= 0) {
        int number = taken->number[at] ? taken->number[at] + 1 : 2;
        taken->number[at] = number;
        name = sal_arena_format(arena, "%s_%d", base, number);
    }
    return name && sal_naming_add(taken, scratch, name, name) >= 0 ? name : NULL;
}
