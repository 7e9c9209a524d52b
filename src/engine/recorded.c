#include "saliscope/recorded.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "saliscope/npy.h"

#define RECORDED_FILE_MAX ((size_t)2147483647)

enum { PATH_SIZE = 4096 };

static enum sal_status no_memory(struct sal_error *err)
{
    return sal_fail(err, SAL_LIMIT, "no memory for the recorded tensor");
}

/* ---- one file --------------------------------------------------------------- */

static bool is_npy(struct sal_span bytes)
{
    static const char magic[] = "\x93NUMPY";
    return bytes.size >= sizeof(magic) - 1 &&
           memcmp(bytes.data, magic, sizeof(magic) - 1) == 0;
}

static enum sal_status parse_npy(struct sal_recording *recording,
                                 struct sal_recorded *recorded, struct sal_span bytes,
                                 struct sal_error *err)
{
    struct sal_npy array;
    enum sal_status status = sal_npy_decode(&array, bytes, "the array", err);
    if (status)
        return status;
    size_t size = (size_t)array.count * sizeof(*array.data);
    void *copy = sal_arena_alloc(&recording->arena, size, 1);
    struct sal_onnx_tensor *tensor = &recorded->tensor;
    *tensor = (struct sal_onnx_tensor){.name = "",
                                       .type = SAL_ONNX_FLOAT,
                                       .rank = array.rank,
                                       .count = (size_t)array.count,
                                       .raw = {copy, size}};
    memcpy(tensor->dim, array.shape, sizeof(tensor->dim));
    if (copy && size)
        memcpy(copy, array.data, size);
    sal_npy_release(&array);
    recorded->any_float = true;
    return copy ? SAL_OK : no_memory(err);
}

static enum sal_status read_file(struct sal_recording *recording,
                                 struct sal_recorded *recorded, struct sal_error *err)
{
    struct sal_file *file = &recording->files[recording->n_files];
    enum sal_status status = sal_file_map(file, recorded->path, RECORDED_FILE_MAX, err);
    if (status)
        return status;
    recording->n_files++;
    status = is_npy(file->bytes) ? parse_npy(recording, recorded, file->bytes, err)
                                 : sal_onnx_parse_tensor(&recorded->tensor, file->bytes,
                                                         &recording->arena, err);
    if (!status)
        return SAL_OK;
    sal_file_close(file);
    recording->n_files--;
    return sal_fail_within(err, status, "%.300s", recorded->path);
}

enum sal_status sal_recording_add(struct sal_recording *recording,
                                  struct sal_recorded_list *list, const char *path,
                                  struct sal_error *err)
{
    if (list->n == SAL_RECORDED_MAX)
        return sal_fail(err, SAL_LIMIT, "%.300s: at most %d recorded tensors are read",
                        path, SAL_RECORDED_MAX);
    struct sal_recorded *recorded = &list->at[list->n];
    *recorded = (struct sal_recorded){
        .path = sal_arena_copy(&recording->arena, path, strlen(path))};
    if (!recorded->path)
        return no_memory(err);
    enum sal_status status = read_file(recording, recorded, err);
    if (!status)
        list->n++;
    return status;
}

/* ---- a folder --------------------------------------------------------------- */

/* path becomes folder/name_i with the extension that is there; false: neither. */
static bool find(char path[PATH_SIZE], const char *folder, const char *name, int i)
{
    static const char *const extensions[] = {"pb", "npy"};
    for (size_t k = 0; k < sizeof(extensions) / sizeof(*extensions); k++) {
        int size =
            snprintf(path, PATH_SIZE, "%s/%s_%d.%s", folder, name, i, extensions[k]);
        if (size < PATH_SIZE && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static enum sal_status add_side(struct sal_recording *recording,
                                struct sal_recorded_list *list, const char *folder,
                                const char *name, struct sal_error *err)
{
    char path[PATH_SIZE];
    enum sal_status status = SAL_OK;
    for (int i = 0; !status && find(path, folder, name, i); i++)
        status = sal_recording_add(recording, list, path, err);
    return status;
}

enum sal_status sal_recording_add_folder(struct sal_recording *recording,
                                         const char *folder, struct sal_error *err)
{
    char path[PATH_SIZE];
    if (!find(path, folder, "output", 0))
        return sal_fail(err, SAL_BAD_INPUT,
                        "%.300s: there is no output_0.pb or output_0.npy in it",
                        folder);
    enum sal_status status =
        add_side(recording, &recording->inputs, folder, "input", err);
    return status ? status
                  : add_side(recording, &recording->outputs, folder, "output", err);
}

void sal_recording_release(struct sal_recording *recording)
{
    for (int i = 0; i < recording->n_files; i++)
        sal_file_close(&recording->files[i]);
    sal_arena_release(&recording->arena);
    *recording = (struct sal_recording){0};
}
