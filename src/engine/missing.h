/*
 * Operators of a description that are not in the table, for whoever builds a graph.
 * What users see of it is sal_missing_find() in saliscope/model.h.
 */
#ifndef SALISCOPE_ENGINE_MISSING_H
#define SALISCOPE_ENGINE_MISSING_H

#include "op.h"
#include "saliscope/model.h"

/* The row that runs this node as of an opset of its domain; NULL: there is none. */
const struct sal_op *sal_missing_or_op(const struct sal_onnx_node *node, int64_t opset);

/* SAL_UNSUPPORTED for a node without a row; names all operators that are missing, as
 * far as one line has room. */
enum sal_status sal_missing_fail(const struct sal_onnx *onnx,
                                 const struct sal_onnx_node *node,
                                 struct sal_error *err);

#endif
