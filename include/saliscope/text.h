/*
 * Untrusted text on its way to a person.
 *
 * File names, names inside models, DICOM strings and label files all reach the
 * screen, messages and exported metadata. Every one of them passes through
 * sal_text_clean() just before it is shown. No state, any thread.
 */
#ifndef SALISCOPE_TEXT_H
#define SALISCOPE_TEXT_H

#include <stddef.h>

/* Copies text into dst (capacity bytes, always terminated when capacity > 0) as
 * valid UTF-8 without control characters (C0, DEL, C1), bidirectional controls,
 * zero-width characters, private use or tag characters: each of those, and each
 * malformed byte, becomes U+FFFD. Never cuts inside a character. Returns dst. */
char *sal_text_clean(char *dst, size_t capacity, const char *text);

/* Columns a clean UTF-8 text takes in a terminal. */
int sal_text_columns(const char *text);

/* Cuts a clean text in place to at most `columns` columns; where something was
 * cut, the last column is an ellipsis (or '~' when ascii is set, and in a text
 * of fewer than three bytes). columns <= 0 leaves the empty text. */
void sal_text_clip(char *text, int columns, int ascii);

#endif
