/* How many terminal columns one character takes. No state, any thread. */
#ifndef SALISCOPE_BASE_WIDTH_H
#define SALISCOPE_BASE_WIDTH_H

#include <stdint.h>

/* 0 for a combining mark, 2 for East Asian wide and emoji, else 1. Follows
 * Unicode 14 as the C library's wcwidth() does, whatever the locale. */
int width_of(uint32_t code);

#endif
