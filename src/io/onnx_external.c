#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "onnx_read.h"
#include "saliscope/names.h"

enum { FILES_MAX = 4096 };
#define DATA_MAX ((size_t)1 << 40)

/* O_NONBLOCK: a FIFO planted there must not hold us up. */
enum { READ = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

struct sal_external {
    struct sal_onnx *onnx; /* whose external files and arena these are */
    const char *path;      /* of the model */
    int folder;
    struct sal_names locations;
};

enum sal_status sal_external_begin(struct sal_external **external, struct sal_onnx *onnx,
                                   const char *path, struct sal_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *folder = "/";
    if (slash != path)
        folder = slash ? sal_arena_copy(&onnx->arena, path, (size_t)(slash - path)) : ".";
    *external = sal_new(&onnx->arena, struct sal_external, 1);
    if (!*external || !folder)
        return sal_fail(err, SAL_LIMIT, "no memory");
    **external = (struct sal_external){.onnx = onnx, .path = path};
    (*external)->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if ((*external)->folder < 0)
        return sal_fail(err, SAL_BAD_INPUT, "its folder cannot be opened: %s",
                        strerror(errno));
    return SAL_OK;
}

void sal_external_end(struct sal_external *external)
{
    if (external && external->folder >= 0)
        close(external->folder);
}

/* ---- opening ---- */

static bool is_link(int dir, const char *name)
{
    struct stat info;
    return fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
}

int sal_open_beneath_walking(int dir, const char *location)
{
    char component[256];
    errno = EXDEV;
    int at = *location == '/' ? -1 : dup(dir);
    while (at >= 0) {
        location += strspn(location, "/");
        size_t size = strcspn(location, "/");
        bool last = location[size + strspn(location + size, "/")] == '\0';
        bool bad = size == 0 || size >= sizeof component;
        snprintf(component, sizeof component, "%.*s", bad ? 0 : (int)size, location);
        bad |= strcmp(component, "..") == 0;
        errno = EXDEV;
        int next = bad ? -1
                       : openat(at, component, O_NOFOLLOW | (last ? READ : O_PATH |
                                O_DIRECTORY | O_CLOEXEC));
        int reason = errno;
        if (next < 0 && reason == ENOTDIR && is_link(at, component))
            reason = ELOOP; /* what openat2 says of a linked folder */
        close(at);
        errno = reason;
        if (last || next < 0)
            return next;
        at = next;
        location += size;
    }
    return -1;
}

int sal_open_beneath(int dir, const char *location)
{
    struct open_how how = {
        .flags = READ,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir, location, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return sal_open_beneath_walking(dir, location);
    return (int)fd;
}

/* The folder an open file really lies in; size of its path, 0: not known. */
static size_t folder_of(int fd, char *path, size_t capacity)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, capacity);
    if (size <= 0 || (size_t)size >= capacity)
        return 0;
    const char *slash = memrchr(path, '/', (size_t)size);
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool same_folder(int a, int b)
{
    char path_a[4096], path_b[4096];
    size_t size_a = folder_of(a, path_a, sizeof path_a);
    size_t size_b = folder_of(b, path_b, sizeof path_b);
    return size_a && size_a == size_b && memcmp(path_a, path_b, size_a) == 0;
}

/* Hugging Face keeps model and data as blobs in one folder, and a snapshot folder
 * of symbolic links to them. Where the model itself is such a link, a link to a
 * neighbour of its blob is followed. O_PATH first: looking has no side effects. */
static int open_blob(const struct sal_external *external, const char *location)
{
    struct stat info;
    if (lstat(external->path, &info) != 0 || !S_ISLNK(info.st_mode)) {
        errno = ELOOP;
        return -1;
    }
    int model = open(external->path, O_PATH | O_CLOEXEC);
    int data = openat(external->folder, location, O_PATH | O_CLOEXEC);
    int fd = -1;
    if (model >= 0 && data >= 0 && same_folder(model, data) && fstat(data, &info) == 0 &&
        S_ISREG(info.st_mode)) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", data);
        fd = open(link, READ);
    }
    if (model >= 0)
        close(model);
    if (data >= 0)
        close(data);
    errno = ELOOP;
    return fd;
}

static enum sal_status not_opened(const char *location, struct sal_error *err)
{
    if (errno == ENOENT)
        return sal_fail(err, SAL_BAD_INPUT,
                        "external data '" SAL_NAME "' is not there: it belongs beside the "
                        "model", location);
    if (errno == EXDEV)
        return sal_fail(err, SAL_BAD_INPUT,
                        "external data '" SAL_NAME "' leaves the model's folder", location);
    if (errno == ELOOP)
        return sal_fail(err, SAL_BAD_INPUT,
                        "external data '" SAL_NAME "' is reached through a symbolic link",
                        location);
    return sal_fail(err, SAL_BAD_INPUT, "external data '" SAL_NAME "': %s", location,
                    strerror(errno));
}

static enum sal_status map(struct sal_external *external, const char *location,
                           struct sal_file *file, struct sal_error *err)
{
    int fd = sal_open_beneath(external->folder, location);
    if (fd < 0 && errno == ELOOP)
        fd = open_blob(external, location);
    if (fd < 0)
        return not_opened(location, err);
    enum sal_status status = sal_file_map_fd(file, fd, location, DATA_MAX, err);
    close(fd);
    return status;
}

/* One mapping per location. */
static enum sal_status find_file(struct sal_external *external, const char *location,
                                 const struct sal_file **file, struct sal_error *err)
{
    struct sal_onnx *onnx = external->onnx;
    if (!onnx->external) {
        onnx->external = sal_new(&onnx->arena, struct sal_file, FILES_MAX);
        if (!onnx->external || !sal_names_init(&external->locations, &onnx->arena, FILES_MAX))
            return sal_fail(err, SAL_LIMIT, "no memory");
    }
    const struct sal_name *known = sal_names_find(&external->locations, location);
    if (!known) {
        if (onnx->n_external == FILES_MAX)
            return sal_fail(err, SAL_BAD_INPUT, "more than %d external data files", FILES_MAX);
        enum sal_status status =
            map(external, location, &onnx->external[onnx->n_external], err);
        if (status != SAL_OK)
            return status;
        sal_names_add(&external->locations, location, onnx->n_external++);
        known = sal_names_find(&external->locations, location);
    }
    *file = &onnx->external[known->value];
    return SAL_OK;
}

/* ---- what external_data says ---- */

enum { LOCATION, OFFSET, LENGTH, CHECKSUM, BASEPATH, N_KEYS };
static const char *const key_names[N_KEYS] = {
    [LOCATION] = "location", [OFFSET] = "offset",     [LENGTH] = "length",
    [CHECKSUM] = "checksum", [BASEPATH] = "basepath",
};

static enum sal_status sort_keys(const struct sal_onnx_property *keys, int n,
                                 const char *values[static N_KEYS], struct sal_error *err)
{
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < N_KEYS && strcmp(keys[i].key, key_names[k]) != 0)
            k++;
        if (k == N_KEYS)
            return sal_fail(err, SAL_BAD_INPUT,
                            "external data has an unknown key '" SAL_NAME "'", keys[i].key);
        if (values[k])
            return sal_fail(err, SAL_BAD_INPUT, "external data has two keys '%s'",
                            key_names[k]);
        values[k] = keys[i].value;
    }
    if (!values[LOCATION] || !*values[LOCATION])
        return sal_fail(err, SAL_BAD_INPUT, "external data without a location");
    return SAL_OK;
}

static enum sal_status number(const char *name, const char *text, size_t *value,
                              struct sal_error *err)
{
    *value = 0;
    bool good = *text != '\0';
    for (; good && *text; text++)
        good = *text >= '0' && *text <= '9' && !__builtin_mul_overflow(*value, 10, value) &&
               !__builtin_add_overflow(*value, (size_t)(*text - '0'), value);
    return good ? SAL_OK
                : sal_fail(err, SAL_BAD_INPUT,
                           "external data: %s must be a number of bytes from 0", name);
}

static bool leaves_folder(const char *location)
{
    if (*location == '/')
        return true;
    for (const char *at = location; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return false;
}

enum sal_status sal_external_find(struct sal_external *external,
                                  const struct sal_onnx_property *keys, int n_keys,
                                  size_t need, struct sal_span *bytes,
                                  struct sal_error *err)
{
    const char *values[N_KEYS] = {NULL};
    size_t offset = 0, length = need;
    enum sal_status status = sort_keys(keys, n_keys, values, err);
    if (status == SAL_OK && !external)
        return sal_fail(err, SAL_UNSUPPORTED,
                        "its values lie in another file, which is not read here");
    if (status == SAL_OK && leaves_folder(values[LOCATION])) {
        errno = EXDEV;
        return not_opened(values[LOCATION], err);
    }
    if (status == SAL_OK && values[OFFSET])
        status = number("offset", values[OFFSET], &offset, err);
    if (status == SAL_OK && values[LENGTH])
        status = number("length", values[LENGTH], &length, err);
    if (status == SAL_OK && need != SAL_EXTERNAL_ANY && length != need)
        return sal_fail(err, SAL_BAD_INPUT, "its shape needs %zu bytes, external data has %zu",
                        need, length);
    const struct sal_file *file = NULL;
    if (status == SAL_OK)
        status = find_file(external, values[LOCATION], &file, err);
    if (status != SAL_OK)
        return status;
    size_t size = file->bytes.size;
    if (length == SAL_EXTERNAL_ANY && offset <= size)
        length = size - offset;
    if (offset > size || length > size - offset)
        return sal_fail(err, SAL_BAD_INPUT,
                        "external data '" SAL_NAME "' has %zu bytes, %zu from byte %zu on "
                        "are needed", values[LOCATION], size, length, offset);
    *bytes = (struct sal_span){file->bytes.data + offset, length};
    return SAL_OK;
}
