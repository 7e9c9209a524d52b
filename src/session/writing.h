/*
 * One result on its way into a file.
 */
#ifndef SALISCOPE_SESSION_WRITING_H
#define SALISCOPE_SESSION_WRITING_H

#include "saliscope/buffer.h"
#include "state.h"

struct sal_writing {
    struct sal_session *session;
    const struct sal_case *held; /* with image and scores; with a map where the
                                    writer's row says so */
    const struct sal_view *view;
    enum sal_at at;
};

enum sal_status sal_figure_encode_png(const struct sal_writing *writing,
                                      struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_figure_encode_pdf(const struct sal_writing *writing,
                                      struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_figure_encode_svg(const struct sal_writing *writing,
                                      struct sal_buffer *buffer, struct sal_error *err);

/* Of a probe's answer, which is there: its figure, and what others' programs read. */
enum sal_status sal_probe_figure_png(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_probe_figure_pdf(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_probe_figure_svg(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_probe_encode_png(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_probe_encode_npy(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_probe_encode_npz(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err);

#endif
