#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { POLL_MS = 100, PROGRESS_AFTER = 4 }; /* polls before progress is worth a line */

/* In a file's name: where the image's name goes, and where the class's index. */
#define NAME_HOLE "{}"
#define CLASS_HOLE "{class}"

/* One pass over all operands. */
struct pass {
    struct cli *cli;
    const struct sal_session_ask *asks; /* NULL: scores only */
    int n;                              /* of each image */
    struct sal_view view;
    struct sal_json *json; /* NULL: not asked for */
    bool several; /* cases */
};

/* ---- waiting --------------------------------------------------------------------------- */

static void show_progress(const struct sal_snapshot *snapshot)
{
    static const char *const doing[] = {
        [SAL_IDLE] = "done",
        [SAL_LOADING] = "loading",
        [SAL_CLASSIFYING] = "classifying",
        [SAL_EXPLAINING] = "explaining",
        [SAL_PROBING] = "probing",
    };
    fprintf(stderr, "\r\033[K%s", doing[snapshot->state]);
    if (snapshot->progress >= 0)
        fprintf(stderr, " %.0f %%", snapshot->progress * 100);
    if (isfinite(snapshot->eta))
        fprintf(stderr, ", %.0f s left", ceil(snapshot->eta));
    fflush(stderr);
}

static enum sal_status await(struct cli *cli, struct sal_snapshot *snapshot)
{
    bool told = false, shown = false;
    for (int polls = 0;; polls++) {
        sal_session_snapshot(cli->session, snapshot);
        if (snapshot->state == SAL_IDLE)
            break;
        if (cli_interrupted() && !told) {
            sal_session_cancel(cli->session);
            told = true;
        }
        if (cli->progress && polls >= PROGRESS_AFTER) {
            show_progress(snapshot);
            shown = true;
        }
        struct pollfd wake = {.fd = cli->wake, .events = POLLIN};
        poll(&wake, 1, POLL_MS);
    }
    if (shown)
        fputs("\r\033[K", stderr);
    return snapshot->error.status;
}

/* ---- outputs ----------------------------------------------------------------------------- */

static void add_stem(struct sal_buffer *path, const char *image)
{
    const char *slash = strrchr(image, '/');
    const char *stem = slash ? slash + 1 : image;
    const char *dot = strrchr(stem, '.');
    sal_buffer_append(path, stem, dot && dot != stem ? (size_t)(dot - stem) : strlen(stem));
}

/* The pattern with {} replaced by the image's file name without extension, and {class} by the
 * class's index, unless that is -1; free() it. */
static char *output_path(const char *pattern, const char *image, int class_index)
{
    struct sal_buffer path = {0};
    char index[16];
    snprintf(index, sizeof(index), "%d", class_index);
    for (const char *at = pattern; *at;) {
        if (strncmp(at, NAME_HOLE, strlen(NAME_HOLE)) == 0) {
            add_stem(&path, image);
            at += strlen(NAME_HOLE);
        } else if (class_index >= 0 && strncmp(at, CLASS_HOLE, strlen(CLASS_HOLE)) == 0) {
            sal_buffer_append(&path, index, strlen(index));
            at += strlen(CLASS_HOLE);
        } else {
            sal_buffer_append(&path, at++, 1);
        }
    }
    sal_buffer_append(&path, "", 1);
    if (path.failed)
        sal_buffer_release(&path);
    return (char *)path.data;
}

static bool is_record(const char *path)
{
    size_t size = strlen(path);
    return size >= 5 && strcasecmp(path + size - 5, ".json") == 0;
}

static enum sal_status write_one(const struct pass *pass, const char *pattern,
                                 const char *image, int class_index,
                                 struct sal_error *err)
{
    const struct options *options = &pass->cli->options;
    enum sal_at at = option_number(options, OPT_CHANNELS, 0) > 0
                         ? SAL_AT_CHANNELS
                         : (enum sal_at)option_number(options, OPT_AT, SAL_AT_INPUT);
    char *path = output_path(pattern, image, class_index);
    if (!path)
        return sal_fail(err, SAL_LIMIT, "no memory for a file name");
    enum sal_status status =
        sal_session_write(pass->cli->session, path, &pass->view, at, err);
    free(path);
    return status;
}

/* Records go last, so that they list what was written. */
static enum sal_status write_all(const struct pass *pass, const char *image,
                                 int class_index, struct sal_error *err)
{
    const struct option_values *outputs = &pass->cli->options.value[OPT_OUTPUT];
    for (int records = 0; records < 2; records++)
        for (int i = 0; i < outputs->count; i++) {
            const char *pattern = outputs->text[i];
            if (strcmp(pattern, "-") == 0 || is_record(pattern) != (records == 1))
                continue;
            enum sal_status status = write_one(pass, pattern, image, class_index, err);
            if (status)
                return status;
        }
    return SAL_OK;
}

static enum sal_status check_outputs(const struct pass *pass, struct sal_error *err)
{
    const struct option_values *outputs = &pass->cli->options.value[OPT_OUTPUT];
    for (int i = 0; i < outputs->count; i++) {
        const char *path = outputs->text[i];
        const struct sal_writer *writer = sal_writer_find(path, err);
        if (!writer)
            return SAL_USAGE;
        if (writer->needs_map && !pass->asks)
            return sal_fail(err, SAL_USAGE,
                            "-o %s needs a map: use 'saliscope explain'", path);
        bool images = pass->cli->options.n_operands > 1, classes = pass->n > 1;
        if (strcmp(path, "-") == 0)
            continue;
        if (images && !strstr(path, NAME_HOLE))
            return sal_fail(err, SAL_USAGE,
                            "-o %s would be written once for each image: put {} where the "
                            "image's name should go",
                            path);
        if (classes && !strstr(path, CLASS_HOLE))
            return sal_fail(err, SAL_USAGE,
                            "-o %s would be written once for each class: put {class} where "
                            "the class's index should go",
                            path);
    }
    return SAL_OK;
}

/* ---- one case ------------------------------------------------------------------------------ */

static void record_error(const struct pass *pass, const char *image,
                         const struct sal_error *err)
{
    bool redact = option_given(&pass->cli->options, OPT_REDACT_PATHS);
    sal_json_object(pass->json, NULL);
    sal_json_object(pass->json, "image");
    if (!redact)
        sal_json_text(pass->json, "path", image);
    sal_json_end(pass->json);
    sal_json_object(pass->json, "error");
    sal_json_int(pass->json, "status", sal_status_exit_code(err->status));
    sal_json_text(pass->json, "message", redact ? NULL : err->text);
    sal_json_end(pass->json);
    sal_json_end(pass->json);
}

/* A document of one case begins only when that case is there. */
static void record_case(const struct pass *pass)
{
    sal_json_object(pass->json, NULL);
    if (!pass->several)
        sal_session_record_head(pass->cli->session, pass->json);
    sal_session_record_case(pass->cli->session, pass->json, NULL);
    sal_json_end(pass->json);
}

/* What was done of a map, or by a probe and of the maps beside it, before it was stopped is
 * worth showing. */
static bool stopped_early(const struct pass *pass, const struct sal_snapshot *snapshot)
{
    const struct sal_stability *maps = snapshot->stability;
    if (!pass->asks)
        return false;
    if (!pass->asks->probe)
        return snapshot->map && snapshot->map->partial;
    return snapshot->answer && (snapshot->answer->partial || (maps && maps->partial));
}

/* Of what was asked; -1: of none. */
static int class_of(const struct sal_session_ask *ask, const struct sal_snapshot *snapshot)
{
    return !ask ? -1 : ask->probe ? snapshot->probe_ask.class_index : snapshot->ask.class_index;
}

/* Question number i; the first loads the image, the others find it there. */
static int run_case(const struct pass *pass, const char *image, int i,
                    void (*show)(struct cli *, const struct sal_snapshot *))
{
    struct sal_snapshot snapshot;
    const struct sal_session_ask *ask = pass->asks ? &pass->asks[i] : NULL;
    sal_session_request(pass->cli->session, i ? NULL : image, ask);
    enum sal_status status = await(pass->cli, &snapshot);
    struct sal_error err = snapshot.error;
    const bool stopped = status == SAL_CANCELLED && stopped_early(pass, &snapshot);
    if (!status || stopped)
        status = write_all(pass, image, class_of(ask, &snapshot), &err);
    if (status) {
        const char *slash = strrchr(image, '/');
        const char *name = slash ? slash + 1 : image;
        if (pass->several && status != SAL_CANCELLED && !strstr(err.text, name))
            sal_fail_within(&err, status, "%s", image);
        if (pass->several && pass->json)
            record_error(pass, image, &err);
        return cli_fail(&err);
    }
    if (pass->json)
        record_case(pass);
    else
        show(pass->cli, &snapshot);
    return stopped ? sal_status_exit_code(SAL_CANCELLED) : 0;
}

/* What fails of one class would of the others. */
static int run_image(const struct pass *pass, const char *image,
                     void (*show)(struct cli *, const struct sal_snapshot *))
{
    int status = 0;
    for (int i = 0; i < pass->n && !status; i++) {
        struct sal_error err = {SAL_CANCELLED, "cancelled"};
        if (cli_interrupted()) /* between two cases */
            return cli_fail(&err);
        status = run_case(pass, image, i, show);
    }
    return status;
}

static int run_all(const struct pass *pass,
                   void (*show)(struct cli *, const struct sal_snapshot *))
{
    const struct options *options = &pass->cli->options;
    const int cancelled = sal_status_exit_code(SAL_CANCELLED);
    int first = 0;
    for (int i = 0; i < options->n_operands; i++) {
        int status = run_image(pass, options->operands[i], show);
        if (status == cancelled)
            return cancelled;
        first = first ? first : status;
    }
    return first;
}

static int run_documents(struct pass *pass)
{
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    pass->json = &json;
    if (pass->several) {
        sal_json_object(&json, NULL);
        sal_session_record_head(pass->cli->session, &json);
        sal_json_array(&json, "cases");
    }
    int status = run_all(pass, NULL);
    if (pass->several) {
        sal_json_end(&json);
        sal_json_end(&json);
    }
    if (status != sal_status_exit_code(SAL_CANCELLED) && buffer.size) {
        int printed = cli_print_json(&json);
        status = status ? status : printed;
    }
    sal_buffer_release(&buffer);
    return status;
}

int cli_run_cases(struct cli *cli, const struct sal_session_ask *asks, int n,
                  void (*show)(struct cli *cli, const struct sal_snapshot *snapshot))
{
    struct pass pass = {.cli = cli,
                        .asks = asks,
                        .n = n,
                        .several = cli->options.n_operands > 1 || n > 1};
    struct sal_error err = {0};
    if (cli_view(cli, &pass.view, &err) || check_outputs(&pass, &err))
        return cli_fail(&err);
    if (sal_session_start(cli->session, &cli->wake, &err))
        return cli_fail(&err);
    return cli->json ? run_documents(&pass) : run_all(&pass, show);
}
