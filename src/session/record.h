/*
 * Records: what was asked, of what, with what answer, as INTERFACE documents.
 *
 * redact leaves out whatever names a file: for --redact-paths, and for the notes
 * inside figures, which travel.
 */
#ifndef SALISCOPE_SESSION_RECORD_H
#define SALISCOPE_SESSION_RECORD_H

#include "state.h"

/* The whole record of the case shown. */
void sal_record_encode(struct sal_session *session, const char *const *outputs,
                       bool redact, struct sal_buffer *buffer);

/* "command": the line that was given, or one that asks the same, made from the
 * case; with redact MODEL, IMAGE, SIDECAR and MASK stand for the files. */
void sal_record_command(struct sal_json *json, const struct sal_session *session,
                        bool redact);

void sal_record_model(struct sal_json *json, struct sal_session *session, bool redact);

void sal_record_shape(struct sal_json *json, const char *key,
                      const struct sal_shape *shape);

/* One class as an element of an array. */
void sal_record_score(struct sal_json *json, const struct sal_model *model,
                      const sal_real *logits, const double *probabilities, int i);

/* {"index": ..., "name": ...} */
void sal_record_class(struct sal_json *json, const struct sal_model *model, int index);

/* What a probe asked and found. */
void sal_record_probed(struct sal_json *json, const struct sal_session *session,
                       const struct sal_probed *probed, bool redact);

/* In a line what became of the maps, for people; "explanation": maps before and after, where a method was beside the probe; "displaced": the
 * top of the input gradient, where the probe attacked that. */
void sal_record_stability(struct sal_json *json, const struct sal_session *session,
                          const struct sal_probed *probed);
const char *sal_stability_text(const struct sal_stability *maps, char *dst, size_t capacity);
void sal_record_displaced(struct sal_json *json, const struct sal_probe_answer *answer);

/* "k=v, k=v unit" of a method's parameters that count; "" where it has none. */
char *sal_record_params_text(const struct sal_session_ask *ask, char *dst,
                             size_t capacity);

#endif
