/*
 * A case: an image, its scores, its map. Each part is made once, never changed
 * afterwards, and counted: whoever looks at a part holds a reference, so the
 * worker may go on to the next while the screen still shows the last. A part
 * stands on those before it: a new image starts an empty case.
 */
#ifndef SALISCOPE_SESSION_CASE_H
#define SALISCOPE_SESSION_CASE_H

#include <stdatomic.h>

#include "saliscope/clock.h"
#include "saliscope/roi.h"
#include "saliscope/session.h"

struct sal_part {
    atomic_int references;
    void (*release)(struct sal_part *part);
};

struct sal_loaded {
    struct sal_part part;
    char *path;
    struct sal_image image;
    sal_real *x; /* the prepared input */
};

struct sal_scored {
    struct sal_part part;
    struct sal_scores scores; /* arrays owned */
};

struct sal_explained {
    struct sal_part part;
    struct sal_session_ask ask; /* class, layer and parameters resolved */
    struct sal_map map;
    double seconds;
    unsigned serial; /* 1, 2, ... in a session */
};

struct sal_probed {
    struct sal_part part;
    struct sal_session_ask ask; /* class and parameters resolved */
    struct sal_probe_answer answer;
    struct sal_roi roi; /* inside NULL: none was asked about */
    struct sal_stability *stability; /* NULL: no method was beside it */
    double seconds;
    unsigned serial; /* counted with those of maps */
};

/* A zeroed struct is no case at all. */
struct sal_case {
    struct sal_loaded *loaded;
    struct sal_scored *scored;
    struct sal_explained *explained;
    struct sal_probed *probed;
};

/* A second hold on the same parts. */
struct sal_case sal_case_retain(const struct sal_case *from);
void sal_case_release(struct sal_case *held);

/* Each makes a part with one reference. */
enum sal_status sal_loaded_open(struct sal_loaded **loaded, const struct sal_model *model,
                                const char *path, enum sal_sandbox_mode sandbox,
                                struct sal_error *err);
enum sal_status sal_scored_make(struct sal_scored **scored, const struct sal_model *model,
                                const sal_real *logits, double seconds,
                                struct sal_error *err);
enum sal_status sal_explained_make(struct sal_explained **explained,
                                   const struct sal_question *question,
                                   const struct sal_method *method,
                                   struct sal_error *err);

/* ask: its probe and region. beside: NULL, or the method whose maps are compared. */
enum sal_status sal_probed_make(struct sal_probed **probed,
                                const struct sal_probe_question *question,
                                const struct sal_session_ask *ask,
                                const struct sal_stability_question *beside,
                                struct sal_error *err);

/* An answer so far, which it takes over, to that question. NULL: no memory. */
struct sal_probed *sal_probed_so_far(const struct sal_probe_question *question,
                                     const struct sal_probe *probe,
                                     struct sal_probe_answer *answer);

/* A map so far, which it takes over, of that question. NULL: no memory. */
struct sal_explained *sal_explained_so_far(const struct sal_question *question,
                                           const struct sal_method *method,
                                           struct sal_map *map);

#endif
