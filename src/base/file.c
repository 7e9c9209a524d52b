#include "saliscope/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

/* The size of the regular file behind fd, checked. */
static enum sal_status measure(int fd, const char *name, size_t limit, size_t *size,
                               struct sal_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return sal_fail(err, SAL_BAD_INPUT, "%s: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return sal_fail(err, SAL_BAD_INPUT, "%s: is not a regular file", name);
    if (st.st_size <= 0)
        return sal_fail(err, SAL_BAD_INPUT, "%s: is empty", name);
    if ((uintmax_t)st.st_size > limit)
        return sal_fail(err, SAL_LIMIT, "%s: has %jd bytes, at most %zu are read", name,
                        (intmax_t)st.st_size, limit);
    *size = (size_t)st.st_size;
    return SAL_OK;
}

enum sal_status sal_file_map_fd(struct sal_file *file, int fd, const char *name,
                                size_t limit, struct sal_error *err)
{
    size_t size;
    enum sal_status status = measure(fd, name, limit, &size, err);
    if (status)
        return status;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return sal_fail(err, errno == ENOMEM ? SAL_LIMIT : SAL_BAD_INPUT,
                        "%s: cannot map %zu bytes: %s", name, size, strerror(errno));
    *file = (struct sal_file){.bytes = {data, size}, .mapped = 1};
    return SAL_OK;
}

/* Reads until size bytes are there; fewer when the file ends before. */
static ssize_t read_all(int fd, uint8_t *data, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, data + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static enum sal_status read_fd(struct sal_file *file, int fd, const char *name,
                               size_t limit, struct sal_error *err)
{
    size_t size;
    enum sal_status status = measure(fd, name, limit, &size, err);
    if (status)
        return status;
    uint8_t *data = malloc(size);
    if (!data)
        return sal_fail(err, SAL_LIMIT, "%s: no memory for %zu bytes", name, size);
    ssize_t got = read_all(fd, data, size);
    if (got == (ssize_t)size) {
        *file = (struct sal_file){.bytes = {data, size}};
        return SAL_OK;
    }
    free(data);
    return sal_fail(err, SAL_BAD_INPUT, "%s: %s", name,
                    got < 0 ? strerror(errno) : "became shorter while it was read");
}

/* Opens path and hands the descriptor to take(). O_NONBLOCK: a FIFO without a
 * writer must be refused, not waited for. */
static enum sal_status with_open(struct sal_file *file, const char *path, size_t limit,
                                 enum sal_status (*take)(struct sal_file *, int,
                                                         const char *, size_t,
                                                         struct sal_error *),
                                 struct sal_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return sal_fail(err, SAL_BAD_INPUT, "%s: %s", path, strerror(errno));
    enum sal_status status = take(file, fd, path, limit, err);
    close(fd);
    return status;
}

enum sal_status sal_file_map(struct sal_file *file, const char *path, size_t limit,
                             struct sal_error *err)
{
    return with_open(file, path, limit, sal_file_map_fd, err);
}

enum sal_status sal_file_read(struct sal_file *file, const char *path, size_t limit,
                              struct sal_error *err)
{
    return with_open(file, path, limit, read_fd, err);
}

void sal_file_let_go(const void *data, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (uintptr_t)data;
    const uintptr_t from = (begin + page - 1) / page * page, to = (begin + size) / page * page;
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

void sal_file_close(struct sal_file *file)
{
    void *data = (void *)(uintptr_t)file->bytes.data;
    if (file->mapped && data)
        munmap(data, file->bytes.size);
    else
        free(data);
    *file = (struct sal_file){0};
}

/* ---- writing ---- */

/* 0, or -1 with errno set. */
static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            errno = n ? errno : ENOSPC;
            return -1;
        }
    }
    return 0;
}

/* Whether a file called name in dir may be replaced: it is a regular file, a
 * link to one, or nothing that can be seen (then renaming tells more). */
static bool may_replace(int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (S_ISLNK(st.st_mode) && fstatat(dir, name, &st, 0) != 0)
        return false;
    return S_ISREG(st.st_mode);
}

/* Creates ".name.XXXXXX" in dir and leaves that name in temporary. */
static int open_temporary(int dir, const char *name, char temporary[NAME_MAX + 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (int attempt = 0; attempt < 100; attempt++) {
        uint8_t random[6];
        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return -1;
        int used = snprintf(temporary, NAME_MAX - 6, ".%.240s.", name);
        for (size_t i = 0; i < sizeof(random); i++)
            temporary[used++] = letters[random[i] % 32];
        temporary[used] = '\0';
        int fd = openat(dir, temporary,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* 0, or -1 with errno set; nothing is left behind then. */
static int replace(int dir, const char *name, const void *data, size_t size)
{
    char temporary[NAME_MAX + 1];
    int fd = open_temporary(dir, name, temporary);
    if (fd < 0)
        return -1;
    int failed = write_all(fd, data, size) != 0 || fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (!failed && renameat(dir, temporary, dir, name) != 0)
        failed = errno;
    if (failed) {
        unlinkat(dir, temporary, 0);
        errno = failed;
        return -1;
    }
    fsync(dir); /* the file is whole either way; some file systems cannot */
    return 0;
}

/* The folder of path; one that may be used but not listed cannot be synced. */
static int open_folder(const char *path, size_t size)
{
    char *folder = size ? strndup(path, size) : strdup(".");
    if (!folder)
        return -1;
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 && errno == EACCES)
        dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int failed = errno;
    free(folder);
    errno = failed;
    return dir;
}

enum sal_status sal_file_write(const char *path, const void *data, size_t size,
                               struct sal_error *err)
{
    if (strcmp(path, "-") == 0) {
        if (write_all(STDOUT_FILENO, data, size) == 0)
            return SAL_OK;
        return sal_fail(err, SAL_OUTPUT, "standard output: %s", strerror(errno));
    }
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!*name)
        return sal_fail(err, SAL_OUTPUT, "'%s' names a folder, not a file", path);
    int dir = open_folder(path, (size_t)(name - path));
    if (dir < 0)
        return sal_fail(err, SAL_OUTPUT, "%s: cannot open its folder: %s", path,
                        strerror(errno));
    enum sal_status status = SAL_OK;
    if (!may_replace(dir, name))
        status = sal_fail(err, SAL_OUTPUT,
                          "%s: is not a regular file and is not replaced", path);
    else if (replace(dir, name, data, size) != 0)
        status = sal_fail(err, SAL_OUTPUT, "%s: cannot write: %s", path,
                          strerror(errno));
    close(dir);
    return status;
}
