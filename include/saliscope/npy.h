/*
 * NumPy's array files (.npy format 1.0, .npz as a stored zip), float32, C order,
 * little endian. Writing is for maps; reading is for reference maps and inputs.
 * No state, any thread.
 */
#ifndef SALISCOPE_NPY_H
#define SALISCOPE_NPY_H

#include <stdint.h>

#include "saliscope/buffer.h"
#include "saliscope/file.h"
#include "saliscope/status.h"

/* Appends one array of rank 0..8. */
void sal_npy_encode(struct sal_buffer *buffer, const float *data,
                    const int64_t *shape, int rank);

struct sal_npz_entry {
    const char *name; /* without ".npy" */
    const float *data;
    int64_t shape[8];
    int rank;
};

/* Appends a whole archive. */
enum sal_status sal_npz_encode(struct sal_buffer *buffer,
                               const struct sal_npz_entry *entries, int n,
                               struct sal_error *err);

struct sal_npy {
    float *data; /* owned; free with sal_npy_release */
    int64_t shape[8];
    int rank;
    int64_t count;
};

/* Reads '<f4' or '<f8' (converted), C order. */
enum sal_status sal_npy_decode(struct sal_npy *array, struct sal_span bytes,
                               const char *name, struct sal_error *err);
void sal_npy_release(struct sal_npy *array);

#endif
