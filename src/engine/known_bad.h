/*
 * Mistakes that exporters are known for, recognised in a description.
 *
 * A file can be well formed and still not be the model that was trained. Each row of
 * the table in known_bad.c is one such mistake: some explain why a graph could not be
 * built, the others are told as a warning. (Two initialisers of one name are refused
 * by the reader, in io/onnx_check.c, with the same hint.) Sources: pytorch #166797,
 * #169178, #174042; onnxscript #2680.
 */
#ifndef SALISCOPE_ENGINE_KNOWN_BAD_H
#define SALISCOPE_ENGINE_KNOWN_BAD_H

#include "saliscope/recorded.h"

/* After a build that failed: where the description shows why, err says that instead.
 * Only SAL_BAD_INPUT is explained. Returns err's status. */
enum sal_status sal_known_bad_explain(const struct sal_onnx *onnx,
                                      enum sal_status status, struct sal_error *err);

#endif
