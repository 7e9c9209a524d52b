/*
 * For the files that read one kind of sidecar each.
 */
#ifndef SALISCOPE_IO_SIDECAR_READ_H
#define SALISCOPE_IO_SIDECAR_READ_H

#include <jansson.h>
#include <stdbool.h>

#include "saliscope/sidecar.h"

/* Where a value is read from, for messages: a file and the way to the key. */
struct sidecar_place {
    const char *file;   /* base name */
    const char *within; /* "input." or "" */
    struct sal_sidecar *sidecar;
    struct sal_error *err;
};

/* Each reads object[key] when it is there, sets *found (may be NULL), and leaves
 * *value alone otherwise. A wrong type or value is SAL_BAD_INPUT naming file, key and
 * what would be right. */
enum sal_status sidecar_text(const struct sidecar_place *at, const json_t *object,
                             const char *key, const char **value);
enum sal_status sidecar_number(const struct sidecar_place *at, const json_t *object,
                               const char *key, double low, double high, double *value);
enum sal_status sidecar_bool(const struct sidecar_place *at, const json_t *object,
                             const char *key, bool *value);
enum sal_status sidecar_choice(const struct sidecar_place *at, const json_t *object,
                               const char *key, const char *const *names, int *value);
/* An array of exactly `n` numbers, or of one that stands for all. */
enum sal_status sidecar_numbers(const struct sidecar_place *at, const json_t *object,
                                const char *key, int n, double *values);

/* Reads `name` beside the model (or at a path). *root is NULL when there is no such
 * file; a file that is no JSON object is an error with line and column. */
enum sal_status sidecar_open_json(const char *model_path, const char *name, json_t **root,
                                  struct sal_error *err);
enum sal_status sidecar_parse_json(const char *path, json_t **root,
                                   struct sal_error *err);

/* Room for n classes without names or thresholds. */
enum sal_status sidecar_classes(struct sal_sidecar *sidecar, int n,
                                struct sal_error *err);

/* Class names from {"0": "cat", ...} or ["cat", ...]; and whether it is that. */
enum sal_status sidecar_class_names(const struct sidecar_place *at, const json_t *names);
bool sidecar_are_class_names(const json_t *names);

/* Refuses a range of nothing. */
enum sal_status sidecar_check_range(const struct sidecar_place *at,
                                    const struct sal_preprocessing *p);

/* A copy that lives as long as the sidecar; "" without memory. */
const char *sidecar_keep(struct sal_sidecar *sidecar, const char *text);

/* One kind of source. *found says that it spoke. */
typedef enum sal_status sidecar_source(struct sal_sidecar *sidecar,
                                       const struct sal_sidecar_request *request,
                                       bool *found, struct sal_error *err);
sidecar_source sidecar_from_own_file, sidecar_from_metadata, sidecar_from_huggingface,
    sidecar_from_monai;

#endif
