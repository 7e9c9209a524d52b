/*
 * Constants that stay in the model's file until somebody wants them elsewhere.
 *
 * A large tensor of sal_reals is not copied when a graph is built: its data is memory
 * that is reserved, untouched and so far zero, and `stored` tells where the values
 * lie, at whatever address the file has them. What packs weights reads them there,
 * once, and lets go of the file's pages; a kernel that binds the tensor needs them in
 * data. So weights are in memory once, in the form in which they are used.
 *
 * The one rule: who reads the values of a constant takes sal_stored_reals, or calls
 * sal_stored_read before it reads data. Below SAL_STORED_LEAST bytes, and of other
 * types, values always are in data: single numbers may be read without asking. Any
 * thread may call all of this.
 *
 * So the file must stay as it is while the model is open, as for all that is mapped.
 */
#ifndef SALISCOPE_ENGINE_STORED_H
#define SALISCOPE_ENGINE_STORED_H

#include "saliscope/arena.h"
#include "saliscope/onnx.h"
#include "saliscope/pool.h"
#include "saliscope/status.h"
#include "saliscope/tensor.h"

enum { SAL_STORED_LEAST = 1 << 17 };

/* Like sal_tensor_from_onnx, but a large tensor is left where it lies; the description
 * must outlive the tensor and its copies. */
enum sal_status sal_stored_tensor(struct sal_tensor *tensor,
                                  const struct sal_onnx_tensor *source,
                                  struct sal_arena *arena, struct sal_error *err);

/* The values of a constant of real numbers, wherever they are. */
const sal_loose *sal_stored_reals(const struct sal_tensor *tensor);

/* Makes sure that they are in data, in parallel. Other tensors: nothing is done. Not to be
 * called from inside of the pool's work. */
void sal_stored_read(const struct sal_tensor *tensor, struct sal_pool *pool);

/* They will not be read again soon: where they lie in a file, its pages may leave this
 * process, and come back by themselves if they are read nevertheless. */
void sal_stored_let_go(const struct sal_tensor *tensor);

#endif
