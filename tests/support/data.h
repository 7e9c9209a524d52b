/*
 * Optional test data. The environment variable SHARED_DATA names a folder with
 * images, models and reference maps; tests that need one of them leave out that
 * part where it is absent.
 */
#ifndef SUPPORT_DATA_H
#define SUPPORT_DATA_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the path of a file below SHARED_DATA. False, with a line "skip: ... is
 * not there" printed, when there is no such file. */
bool shared_data(const char *relative, char *path, size_t capacity);

/* Every model there is: the samples, and those below SHARED_DATA that are classifiers and
 * small enough to be walked through. */
void each_model(void (*work)(const char *path));

#endif
