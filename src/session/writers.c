#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "record.h"
#include "saliscope/file.h"
#include "saliscope/npy.h"
#include "writing.h"

/* ---- arrays ------------------------------------------------------------------- */

static void npy_grid(struct sal_buffer *buffer, const float *values, int height,
                     int width)
{
    sal_npy_encode(buffer, values, (int64_t[]){height, width}, 2);
}

static enum sal_status encode_npy(const struct sal_writing *writing,
                                  struct sal_buffer *buffer, struct sal_error *err)
{
    const struct sal_map *map = &writing->held->explained->map;
    if (writing->at == SAL_AT_INPUT)
        npy_grid(buffer, map->values, map->height, map->width);
    if (writing->at == SAL_AT_LAYER)
        npy_grid(buffer, map->grid, map->grid_height, map->grid_width);
    if (writing->at == SAL_AT_CHANNELS && !map->by_channel)
        return sal_fail(err, SAL_USAGE, "this map has no input channels to keep");
    if (writing->at == SAL_AT_CHANNELS)
        sal_npy_encode(buffer, map->by_channel,
                       (int64_t[]){map->channels, map->height, map->width}, 3);
    if (writing->at != SAL_AT_IMAGE)
        return SAL_OK;
    const struct sal_image *image = &writing->held->loaded->image;
    float *values;
    enum sal_status status = sal_session_map_on_image(writing->session, map, &values, err);
    if (status)
        return status;
    npy_grid(buffer, values, image->height, image->width);
    free(values);
    return SAL_OK;
}

static enum sal_status encode_npz(const struct sal_writing *writing,
                                  struct sal_buffer *buffer, struct sal_error *err)
{
    const struct sal_case *held = writing->held;
    const struct sal_map *map = &held->explained->map;
    const struct sal_scores *scores = &held->scored->scores;
    const struct sal_image *image = &held->loaded->image;
    struct sal_shape input =
        sal_model_value(writing->session->model,
                        sal_model_input(writing->session->model)->value)
            .shape;
    enum { INPUT = 5 }; /* its row below */
    float *over = NULL;
    float *probabilities = calloc((size_t)scores->n, sizeof(*probabilities));
    if (!probabilities)
        return sal_fail(err, SAL_LIMIT, "no memory for %d scores", scores->n);
    for (int i = 0; i < scores->n; i++)
        probabilities[i] = (float)scores->probabilities[i];
    enum sal_status status = sal_session_map_on_image(writing->session, map, &over, err);
    struct sal_npz_entry entries[] = {
        {"map", map->values, {map->height, map->width}, 2},
        {"map_layer", map->grid, {map->grid_height, map->grid_width}, 2},
        {"map_image", over, {image->height, image->width}, 2},
        {"logits", scores->logits, {scores->n}, 1},
        {"probabilities", probabilities, {scores->n}, 1},
        {.name = "input", .data = held->loaded->x, .rank = input.rank},
        {"map_channels", map->by_channel, {map->channels, map->height, map->width}, 3},
    };
    int n = sizeof(entries) / sizeof(*entries) - (map->by_channel ? 0 : 1);
    memcpy(entries[INPUT].shape, input.dim, sizeof(input.dim));
    if (!status)
        status = sal_npz_encode(buffer, entries, n, err);
    free(probabilities);
    free(over);
    return status;
}

static enum sal_status encode_json(const struct sal_writing *writing,
                                   struct sal_buffer *buffer, struct sal_error *err)
{
    (void)err;
    sal_record_encode(writing->session, NULL, writing->session->options.redact_paths,
                      buffer);
    return SAL_OK;
}

/* ---- the table ------------------------------------------------------------------ */

const struct sal_writer sal_writers[] = {
    {".png", "figure: image, overlay, colour bar, caption; 300 dpi", true,
     "the altered picture in 16 bits", sal_probe_encode_png, sal_figure_encode_png},
    {".figure.png", "the same figure", true,
     "a figure: image, altered picture, change, plot, caption", sal_probe_figure_png,
     sal_figure_encode_png},
    {".pdf", "the same figure for print", true, "the same figure for print",
     sal_probe_figure_pdf, sal_figure_encode_pdf},
    {".svg", "the same figure for editing", true, "the same figure for editing",
     sal_probe_figure_svg, sal_figure_encode_svg},
    {".npy", "the map as NumPy float32, at the resolution of --at", true,
     "the altered input", sal_probe_encode_npy, encode_npy},
    {".npz", "the map at all resolutions, scores and prepared input", true,
     "altered input, picture and change, and what they were made from",
     sal_probe_encode_npz, encode_npz},
    {".json", "the record: everything that was asked and answered", false,
     "the record: everything that was asked and answered",
     encode_json, encode_json},
    {NULL, NULL, false, NULL, NULL, NULL},
};

/* The longest that fits: a name may end in more than one of them. */
static const struct sal_writer *by_extension(const char *path)
{
    const struct sal_writer *best = NULL;
    size_t size = strlen(path), longest = 0;
    for (const struct sal_writer *row = sal_writers; row->extension; row++) {
        size_t tail = strlen(row->extension);
        bool ends = size > tail && strcasecmp(path + size - tail, row->extension) == 0;
        if (strcmp(path, "-") == 0 && strcmp(row->extension, ".json") == 0)
            return row;
        if (ends && tail > longest) {
            best = row;
            longest = tail;
        }
    }
    return best;
}

const struct sal_writer *sal_writer_find(const char *path, struct sal_error *err)
{
    const struct sal_writer *writer = by_extension(path);
    if (writer)
        return writer;
    char known[128] = "";
    size_t used = 0;
    for (const struct sal_writer *row = sal_writers; row->extension; row++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
                                 used ? " " : "", row->extension);
    sal_fail(err, SAL_USAGE, "'%s': no writer for this extension; there are %s", path,
             known);
    return NULL;
}

/* ---- writing -------------------------------------------------------------------- */

void sal_session_forget_outputs(struct sal_session *session)
{
    for (int i = 0; session->outputs[i]; i++) {
        free(session->outputs[i]);
        session->outputs[i] = NULL;
    }
}

static void remember_output(struct sal_session *session, const char *path)
{
    int n = 0;
    while (session->outputs[n])
        n++;
    if (n < SAL_OUTPUTS_MAX)
        session->outputs[n] = strdup(path);
}

const char *const *sal_session_outputs(const struct sal_session *session)
{
    static const char *const none[] = {NULL};
    unsigned serial = sal_session_serial(session);
    bool current = serial && session->written_for == serial;
    return current ? (const char *const *)session->outputs : none;
}

enum sal_status sal_session_write(struct sal_session *session, const char *path,
                                  const struct sal_view *view, enum sal_at at,
                                  struct sal_error *err)
{
    const struct sal_writer *writer = sal_writer_find(path, err);
    if (!writer)
        return SAL_USAGE;
    const struct sal_case *held = sal_session_case(session);
    if (!held->loaded || !held->scored)
        return sal_fail(err, SAL_USAGE, "'%s': there is no result to write yet", path);
    const bool probe = sal_session_shows_probe(session);
    if (probe && !writer->encode_probe)
        return sal_fail(err, SAL_USAGE, "'%s': nothing of a probe is written so", path);
    unsigned serial = sal_session_serial(session);
    if (writer->needs_map && !serial)
        return sal_fail(err, SAL_USAGE, "'%s': there is no %s to write, only scores", path,
                        session->result == SAL_RESULT_ANSWER ? "answer" : "map");
    if (session->written_for != serial)
        sal_session_forget_outputs(session);
    session->written_for = serial;
    struct sal_view plain = {0};
    struct sal_writing writing = {session, held, view ? view : &plain, at};
    struct sal_buffer buffer = {0};
    enum sal_status status =
        (probe ? writer->encode_probe : writer->encode)(&writing, &buffer, err);
    if (!status && buffer.failed)
        status = sal_fail(err, SAL_LIMIT, "'%s': no memory to write it", path);
    if (!status)
        status = sal_file_write(path, buffer.data, buffer.size, err);
    sal_buffer_release(&buffer);
    if (!status && strcmp(path, "-") != 0)
        remember_output(session, path);
    return status;
}
