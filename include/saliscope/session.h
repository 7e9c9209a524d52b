/*
 * The case being looked at: one model, one image, one question, its results.
 *
 * The one thing the command line and the terminal workbench share. Used in two
 * ways: directly (classify, explain: the caller's thread does the work), or
 * through the worker thread (request: the answer is polled, a byte on a pipe
 * says that something changed). The session owns everything it hands out; what
 * sal_session_snapshot returns stays valid until the next call of it.
 */
#ifndef SALISCOPE_SESSION_H
#define SALISCOPE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/colormap.h"
#include "saliscope/explain.h"
#include "saliscope/image.h"
#include "saliscope/json.h"
#include "saliscope/like.h"
#include "saliscope/model.h"
#include "saliscope/overlay.h"
#include "saliscope/plot.h"
#include "saliscope/probe.h"
#include "saliscope/stability.h"

struct sal_session;

struct sal_session_options {
    int threads;   /* 0: all processors */
    int batch;     /* images per pass of methods that make many; 0: their own */
    size_t memory; /* bytes; 0: the model's default */
    enum sal_sandbox_mode sandbox;
    const char *sidecar, *preset, *score;
    uint64_t seed;
    bool show_phi, redact_paths;
    bool force_opset; /* see sal_model_options */
    bool exact;       /* see sal_run_options */
    enum sal_precision precision; /* see sal_question */
    bool any_method; /* methods that know only f32 are computed so, and not refused */
    bool previews; /* the worker shows maps of many passes, and answers, while they are made;
                      takes up to a tenth of the time */
    const char *program; /* the command line, for records; NULL: one that asks the
                            same is made from the case */
};

/* Opens the model; no image yet. */
enum sal_status sal_session_open(struct sal_session **session, const char *model,
                                 const struct sal_session_options *options,
                                 struct sal_error *err);
void sal_session_close(struct sal_session *session);

struct sal_model *sal_session_model(struct sal_session *session);

/* ---- in the caller's thread ------------------------------------------------ */

/* Loads an image and prepares the input; forgets earlier results. */
enum sal_status sal_session_load(struct sal_session *session, const char *image,
                                 struct sal_error *err);

/* One case's scores; arrays have model output.n elements and live until the next
 * image. */
struct sal_scores {
    int n;
    const sal_real *logits;
    const double *probabilities; /* NAN where there is no activation */
    int top;                     /* sal_model_top_class */
    double seconds;              /* of the forward */
};

enum sal_status sal_session_classify(struct sal_session *session,
                                     struct sal_scores *scores,
                                     struct sal_error *err);

/* What is asked of the current image. */
struct sal_session_ask {
    const struct sal_method *method;
    const struct sal_probe *probe; /* instead of a map; method is NULL then */
    struct sal_params params;      /* of the method, or of the probe */
    const struct sal_method *beside; /* of a probe: the method whose maps before and after are
                                        compared, of `layer`; NULL: none */
    struct sal_params beside_params, stability_params; /* its own; sal_stability_params */
    int class_index; /* -1: the top class */
    int layer;       /* value id; -1: automatic */
    const struct sal_like *like; /* what becomes of the map, as in a library that has the
                                    method too; params are set by it already. NULL: nothing */
    const char *const *roi; /* [n_roi] parts of the region that a probe asks about, see roi.h;
                               text that outlives the session */
    int n_roi;              /* 0: none */
    enum sal_where where;   /* a probe may alter the picture there only */
};

/* Sets method and its params: the defaults, or where a library is given its own, which
 * must have the method (else SAL_USAGE). */
enum sal_status sal_session_ask_method(const struct sal_session *session,
                                       struct sal_session_ask *ask,
                                       const struct sal_method *method,
                                       const struct sal_like *like, struct sal_error *err);

/* Explains the current image; the map lives until the next one. */
enum sal_status sal_session_explain(struct sal_session *session,
                                    const struct sal_session_ask *ask,
                                    const struct sal_map **map,
                                    struct sal_error *err);

/* Probes the decision about the current image; the answer lives until the next image or
 * probe. With ask->beside maps before and after are compared too. */
enum sal_status sal_session_probe(struct sal_session *session,
                                  const struct sal_session_ask *ask,
                                  const struct sal_probe_answer **answer,
                                  struct sal_error *err);

/* ---- through the worker thread ---------------------------------------------- */

/* Starts the worker. *wake_fd becomes readable whenever the state has changed. */
enum sal_status sal_session_start(struct sal_session *session, int *wake_fd,
                                  struct sal_error *err);

/* Asks for an image (NULL: the current one), classified and then explained or probed
 * (ask->method and probe NULL: only classified). Returns at once; a newer request cancels
 * the one under way. */
void sal_session_request(struct sal_session *session, const char *image,
                         const struct sal_session_ask *ask);

/* Stops the work under way; what is finished stays, a map of the part that was done
 * too (map->partial) where its method has one, and the snapshot's error says
 * SAL_CANCELLED. */
void sal_session_cancel(struct sal_session *session);

enum sal_session_state { SAL_IDLE, SAL_LOADING, SAL_CLASSIFYING, SAL_EXPLAINING,
                         SAL_PROBING };

/* A consistent view of the results so far. Pointers are NULL while there is
 * nothing; they stay valid until the next snapshot is taken. */
struct sal_snapshot {
    enum sal_session_state state;
    double progress; /* 0..1, -1 unknown */
    double eta;      /* seconds left, NAN unknown */
    const char *image_path;
    const struct sal_image *image;
    struct sal_scores scores; /* n == 0: not yet */
    struct sal_session_ask ask; /* of the map, all of it resolved */
    const struct sal_map *map;
    double seconds;         /* the map took */
    bool preview; /* the map, or the answer, is that of the work under way, so far: partial. It
                     ends as the whole one, or as what a cancel leaves; where its question was
                     superseded or fails, the one before is back */
    struct sal_session_ask probe_ask; /* of the answer, all of it resolved */
    const struct sal_probe_answer *answer;
    const struct sal_stability *stability; /* of the answer; NULL: no method was beside it */
    double probe_seconds; /* the answer took, maps included */
    struct sal_error error; /* of the last request; status SAL_OK: none */
    unsigned serial; /* changes whenever anything above did, progress excepted */
};

void sal_session_snapshot(struct sal_session *session, struct sal_snapshot *snapshot);

/* ---- results out -------------------------------------------------------------- */

/* How a map is drawn; zeros are the defaults. */
struct sal_view {
    const struct sal_colormap *colormap; /* NULL: by the map's sign */
    double alpha;                        /* 0 means 0.5; negative means 0 */
    enum sal_range_mode range_mode;
    struct sal_range range; /* of FIXED; of PERCENTILE the percents are its high */
    double contour; /* percent; 0: none */
};

#define SAL_VIEW_PERCENTILE 99.0 /* of maps of single pixels, as PAIR has it */

/* The range that a map is drawn in: the view's; or without one, of a map of single pixels
 * (SAL_PIXELWISE) up to the 99th percentile of magnitudes, of others all of it. */
struct sal_range sal_view_range(const struct sal_view *view, const struct sal_map *map);

/* The view's opacity, 0..1. */
double sal_view_opacity(const struct sal_view *view);

/* One that holds those of both maps, so that they can be compared by their colours. */
struct sal_range sal_view_range_of_both(const struct sal_view *view, const struct sal_map *a,
                                        const struct sal_map *b);

/* In words, what the range is: "as given", "scaled to this image", "99 % of this image". */
void sal_view_range_text(const struct sal_view *view, const struct sal_map *map, char *text,
                         size_t size);

/* At what resolution a map is written: the network's input, the method's own
 * grid, the image's, or the network's input with channels kept apart. */
enum sal_at { SAL_AT_INPUT, SAL_AT_LAYER, SAL_AT_IMAGE, SAL_AT_CHANNELS };

/* The map on the image's own pixel grid: float [image height][image width]; free()
 * it. Where preprocessing cropped or padded, the rest is 0. */
enum sal_status sal_session_map_on_image(const struct sal_session *session,
                                         const struct sal_map *map, float **values,
                                         struct sal_error *err);

/* Which result files and records are about: of a map and an answer for the same image the one
 * that was made last, unless one of them is chosen. */
enum sal_result { SAL_RESULT_NEWEST, SAL_RESULT_MAP, SAL_RESULT_ANSWER };
void sal_session_choose(struct sal_session *session, enum sal_result result);

/* Writes the current result (of the last snapshot, once the worker runs) to path,
 * the writer found by extension: .png .pdf .svg a figure, .npy the raw map, .npz
 * everything, .json the record. "-" is the JSON record on standard output. Where the
 * result is a probe's, .png is the altered picture in 16 bits, as the network sees
 * it, .npy the altered input, and .npz both with what they were made from. */
enum sal_status sal_session_write(struct sal_session *session, const char *path,
                                  const struct sal_view *view, enum sal_at at,
                                  struct sal_error *err);

/* One row per writer; extension NULL ends the table. Of a probe .png is the altered picture, so
 * its figure (the image as the network sees it, the altered picture, the change magnified, the
 * plot) is .figure.png, or .pdf and .svg. */
struct sal_writing; /* private to src/session */
struct sal_writer {
    const char *extension; /* ".png"; of those that a name ends in, the longest counts */
    const char *title;
    bool needs_map;
    const char *probe_title; /* what it writes of a probe */
    enum sal_status (*encode_probe)(const struct sal_writing *writing,
                                    struct sal_buffer *buffer,
                                    struct sal_error *err); /* NULL: nothing */
    enum sal_status (*encode)(const struct sal_writing *writing,
                              struct sal_buffer *buffer, struct sal_error *err);
};
extern const struct sal_writer sal_writers[];

/* The writer for path, so that a wrong extension is told before any work; NULL:
 * SAL_USAGE, the message lists what there is. */
const struct sal_writer *sal_writer_find(const char *path, struct sal_error *err);

/* Paths written for the current map or answer so far; NULL ends. */
const char *const *sal_session_outputs(const struct sal_session *session);

/* "97.31 %"; never rounded to a certainty: "> 99.99 %", "< 0.01 %". "" for NAN.
 * dst is terminated and returned. */
char *sal_probability_text(double probability, char *dst, size_t capacity);

/* ---- a probe's answer in words ---------------------------------------------------- */

/* How what is told is meant. */
enum sal_weight {
    SAL_WEIGHT_PLAIN,
    SAL_WEIGHT_VERDICT, /* what it comes to, in one sentence; told first */
    SAL_WEIGHT_ALARM,   /* a reason not to believe the rest */
};

/* Hears one fact after the other: a label of at most 8 letters, "" where it is that of the one
 * before or none, and any length of text, as names in files have it. */
struct sal_listener {
    void *self;
    void (*hear)(void *self, enum sal_weight weight, const char *label, const char *text);
};

/* A length in the norm of the answer: "linf 0.0039 (1 of 255 levels)", "l2 0.51 (rms 0.4 of 255
 * levels)". 64 bytes are enough; dst is returned. */
char *sal_probe_length(const struct sal_probe_answer *answer, double length, unsigned white,
                       char *dst, size_t capacity);

/* How tight the flip that was found is: "0.99996 of that does not flip yet". 64 bytes are
 * enough; dst is returned. */
char *sal_probe_tightness(const struct sal_probe_answer *answer, char *dst, size_t capacity);

/* Tells what the answer in the snapshot says, but for its scores and series. */
void sal_probe_tell(const struct sal_snapshot *snapshot, const struct sal_model *model,
                    const struct sal_listener *to);

/* ---- plots of a probe's answer -------------------------------------------------- */

/* What can be drawn of an answer, what says most first. */
enum sal_probe_plot_kind {
    SAL_PROBE_CURVE, /* the score against eps: attack, noise, threshold, the flip that was found */
    SAL_PROBE_SETTING,  /* the score over what was set, of one corruption */
    SAL_PROBE_SEVERITY, /* the score over the severity, of what goes furthest */
    SAL_PROBE_OVERLAP,  /* what is left of the map's top over the steps, the decision held */
    SAL_PROBE_TRAIL, /* the best so far over the passes: the smallest flip, or the lowest f */
    SAL_PROBE_PLOTS, /* none of them */
};

/* A plot with what it points to; not to be copied. */
struct sal_probe_plot {
    struct sal_plot plot;
    char text[12][128];
    double *values;
};

/* The first kind from `from` on for which the answer has enough points; SAL_PROBE_PLOTS:
 * there is none. */
enum sal_probe_plot_kind sal_probe_plot_next(const struct sal_probe_answer *answer,
                                             enum sal_probe_plot_kind from);

/* The plot of that kind, which the answer has. eps is in levels of the image, whose largest
 * is white, and in unit intensity; in l2 the levels are root mean squares. Release it. */
enum sal_status sal_probe_plot_of(const struct sal_probe_answer *answer,
                                  enum sal_probe_plot_kind kind, const struct sal_model *model,
                                  int class_index, unsigned white, struct sal_probe_plot *plot,
                                  struct sal_error *err);
void sal_probe_plot_release(struct sal_probe_plot *plot);

/* The record of INTERFACE.md as JSON text (UTF-8, newline at the end), for
 * classify when neither map nor answer is there, else explain or probe; free() it. outputs: paths
 * written so far, NULL-terminated; NULL: those sal_session_write wrote for this
 * case. NULL when memory ran out. */
char *sal_session_record(struct sal_session *session, const char *const *outputs);

/* The same in pieces, for documents of several cases: what all share (saliscope,
 * command, model, seed, threads), and what one case adds (image, scores or map).
 * Each writes keys into the object that is open. */
void sal_session_record_head(struct sal_session *session, struct sal_json *json);
void sal_session_record_case(struct sal_session *session, struct sal_json *json,
                             const char *const *outputs);

/* What runs of this session round (see run.h): use[0] forwards, use[1] backwards. False:
 * none can be opened. */
bool sal_session_winograd(struct sal_session *session, struct sal_winograd_use use[2]);

/* What inspect adds: outputs, operators, figures, classes, layers, rounding. */
void sal_session_record_model(struct sal_session *session, struct sal_json *json);

/* The key "parameters": the values of a method's parameters. */
void sal_record_params(struct sal_json *json, const struct sal_param *list,
                       const struct sal_params *params);

/* Appends a word (after a space, unless it is the first) as a POSIX shell reads it
 * back. */
void sal_quote_word(struct sal_buffer *line, const char *word);

/* Operators of the model's file with how often each stands there, most frequent
 * first; free() it. NULL when memory ran out. */
struct sal_operator_count {
    const char *name;
    int count;
};
struct sal_operator_count *sal_session_operators(const struct sal_session *session,
                                                 int *n);

#endif
