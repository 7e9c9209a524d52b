/*
 * Files: bounded reading, mapping, and writing that leaves the old file or the
 * new one, never half of one. Any thread.
 */
#ifndef SALISCOPE_FILE_H
#define SALISCOPE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "saliscope/status.h"

/* Bytes somebody else owns. */
struct sal_span {
    const uint8_t *data;
    size_t size;
};

struct sal_file {
    struct sal_span bytes;
    int mapped; /* mmap'ed rather than read into memory */
};

/* Maps a regular file read-only. Refuses other kinds (a FIFO never blocks), an
 * empty file, and one over `limit` bytes. */
enum sal_status sal_file_map(struct sal_file *file, const char *path,
                             size_t limit, struct sal_error *err);

/* The same from an open descriptor, which stays the caller's; name is only for
 * messages. */
enum sal_status sal_file_map_fd(struct sal_file *file, int fd, const char *name,
                                size_t limit, struct sal_error *err);

/* Reads it into memory instead: for files another process may truncate. */
enum sal_status sal_file_read(struct sal_file *file, const char *path,
                              size_t limit, struct sal_error *err);
void sal_file_close(struct sal_file *file);

/* Bytes of a mapped file that will not be read again soon: whole pages among them leave
 * this process, and come back by themselves. For mappings alone: other memory would lose
 * what is in it. */
void sal_file_let_go(const void *data, size_t size);

/* Writes beside path under a temporary name, syncs, then renames over it: a
 * crash at any moment leaves the old file or the whole new one. "-" writes to
 * standard output. Refuses to replace anything but a regular file. Failure is
 * SAL_OUTPUT. */
enum sal_status sal_file_write(const char *path, const void *data, size_t size,
                               struct sal_error *err);

#endif
