/*
 * The parts of `inspect` that need no session: they look at files that may not be
 * classifiers, or not be supported.
 */
#ifndef SALISCOPE_CLI_INSPECT_H
#define SALISCOPE_CLI_INSPECT_H

#include "cli.h"
#include "saliscope/onnx.h"

/* --verify: the model on recorded inputs against recorded outputs, which are the
 * values of --verify and what operands are left. Returns the exit status. */
int inspect_verify(struct cli *cli, const char *model);

/* Prints all operators of a model that are not there, where that is why it could not
 * be opened; nothing otherwise. The caller tells the error itself. */
void inspect_missing(struct cli *cli, const char *model, const struct sal_error *err);

/* The keys of a document that every model without a session has: saliscope, command,
 * model. Into the object that is open. */
void inspect_head(struct sal_json *json, const struct cli *cli, const char *model,
                  struct sal_onnx *onnx);

#endif
