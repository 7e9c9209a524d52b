#include "inspect.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "saliscope/recorded.h"
#include "saliscope/text.h"

/* Everything that is compared: one recording, or one for each folder. */
struct verification {
    struct cli *cli;
    const char *model;
    struct sal_onnx onnx;
    struct sal_pool *pool;
    struct sal_json *json; /* NULL: text */
    struct sal_error *err;
    bool differs;
};

/* ---- what is given ---------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int n_given(const struct cli *cli)
{
    return cli->options.value[OPT_VERIFY].count + cli->options.n_operands;
}

/* In the order of the options, then of the operands. */
static const char *given_at(const struct cli *cli, int i)
{
    const struct option_values *values = &cli->options.value[OPT_VERIFY];
    return i < values->count ? values->text[i]
                             : cli->options.operands[i - values->count];
}

/* Folders alone or files alone. */
static enum sal_status check_given(const struct cli *cli, bool *folders,
                                   struct sal_error *err)
{
    *folders = is_folder(given_at(cli, 0));
    for (int i = 1; i < n_given(cli); i++)
        if (is_folder(given_at(cli, i)) != *folders)
            return sal_fail(err, SAL_USAGE,
                            "--verify takes folders or files, not both: %.200s, %.200s",
                            given_at(cli, 0), given_at(cli, i));
    return SAL_OK;
}

/* The files in the order they were given: as many as the model has inputs are inputs,
 * the others outputs. So `--verify a b out`, `--verify a --verify b out` and, for a
 * second output, `--verify a out --verify b out2` all mean what they say. */
static enum sal_status read_files(const struct verification *v,
                                  struct sal_recording *recording)
{
    enum sal_status status = SAL_OK;
    for (int i = 0; i < n_given(v->cli) && !status; i++) {
        struct sal_recorded_list *list =
            i < v->onnx.graph.n_inputs ? &recording->inputs : &recording->outputs;
        status = sal_recording_add(recording, list, given_at(v->cli, i), v->err);
    }
    return status;
}

/* ---- what came of it -------------------------------------------------------- */

/* Nothing where the two could not be compared. */
static void add_number(struct cli_table *table, double value)
{
    if (isnan(value))
        cli_table_add(table, "%s", "");
    else
        cli_table_add(table, "%.3g", value);
}

static void print_agreements(const struct sal_agreement *agreements, int n)
{
    char dims[96];
    static const char *const heads[] = {
        "output",    "type", "shape", "largest difference", "of the largest value",
        "tolerance", ""};
    struct cli_table table = {.align = "lllrrll"};
    for (int i = 0; i < 7; i++)
        cli_table_add(&table, "%s", heads[i]);
    for (int i = 0; i < n; i++) {
        const struct sal_agreement *a = &agreements[i];
        cli_table_add(&table, "%s", a->name);
        cli_table_add(&table, "%s", sal_onnx_type_name(a->type));
        cli_table_add(&table, "%s", sal_shape_text(&a->shape, dims, sizeof(dims)));
        add_number(&table, a->max_abs);
        add_number(&table, a->max_rel);
        cli_table_add(&table, "%.3g relative", a->tolerance.relative);
        cli_table_add(&table, "%s%s", a->agrees ? "agrees" : "differs: ", a->text);
    }
    cli_table_print(&table, stdout, "  ");
}

static void write_agreement(struct sal_json *json, const struct sal_agreement *a)
{
    sal_json_object(json, NULL);
    sal_json_text(json, "name", a->name);
    sal_json_text(json, "type", sal_onnx_type_name(a->type));
    sal_json_ints(json, "shape", a->shape.dim, a->shape.rank);
    sal_json_bool(json, "agrees", a->agrees);
    sal_json_real(json, "max_abs", a->max_abs);
    sal_json_real(json, "max_rel", a->max_rel);
    sal_json_int(json, "beyond", a->beyond);
    sal_json_object(json, "tolerance");
    sal_json_real(json, "relative", a->tolerance.relative);
    sal_json_real(json, "absolute", a->tolerance.absolute);
    sal_json_real(json, "of_largest", a->tolerance.of_largest);
    sal_json_end(json);
    sal_json_text(json, "why", *a->text ? a->text : NULL);
    sal_json_end(json);
}

static void tell(struct verification *v, const char *name,
                 const struct sal_agreement *agreements, int n)
{
    char clean[1024];
    if (!v->json) {
        if (name)
            printf("%s\n", sal_text_clean(clean, sizeof(clean), name));
        print_agreements(agreements, n);
        return;
    }
    sal_json_object(v->json, NULL);
    if (!option_given(&v->cli->options, OPT_REDACT_PATHS))
        sal_json_text(v->json, "recording", name);
    sal_json_array(v->json, "outputs");
    for (int i = 0; i < n; i++)
        write_agreement(v->json, &agreements[i]);
    sal_json_end(v->json);
    sal_json_end(v->json);
}

/* ---- the work --------------------------------------------------------------- */

/* --tolerance is the relative one; the others keep their proportion to it. */
static struct sal_tolerance tolerance_of(const struct options *options)
{
    struct sal_tolerance t = sal_tolerance_scores;
    double times = option_number(options, OPT_TOLERANCE, t.relative) / t.relative;
    return (struct sal_tolerance){.relative = t.relative * times,
                                  .absolute = t.absolute * times,
                                  .of_largest = t.of_largest * times,
                                  .float16 = t.float16 * times,
                                  .bfloat16 = t.bfloat16 * times};
}

/* name: the folder; NULL: the files of the command line. */
static enum sal_status verify_one(struct verification *v, const char *name)
{
    struct sal_recording *recording = calloc(1, sizeof(*recording));
    struct sal_agreement *agreements = calloc(SAL_RECORDED_MAX, sizeof(*agreements));
    const struct options *options = &v->cli->options;
    struct sal_recorded_options how = {
        .tolerance = tolerance_of(options),
        .memory = (size_t)option_number(options, OPT_MEMORY, 0),
        .force_opset = option_given(options, OPT_FORCE_OPSET),
        .exact = option_given(options, OPT_EXACT),
        .pool = v->pool,
    };
    enum sal_status status =
        !recording || !agreements
            ? sal_fail(v->err, SAL_LIMIT, "no memory for the recording")
        : name ? sal_recording_add_folder(recording, name, v->err)
               : read_files(v, recording);
    if (!status)
        status = sal_recorded_check(&v->onnx, recording, &how, agreements, v->err);
    if (status == SAL_OK || status == SAL_NO) {
        tell(v, name, agreements, recording->outputs.n);
        v->differs |= status == SAL_NO;
        status = SAL_OK;
    }
    if (recording)
        sal_recording_release(recording);
    free(recording);
    free(agreements);
    return status;
}

static enum sal_status verify_all(struct verification *v)
{
    bool folders;
    enum sal_status status = check_given(v->cli, &folders, v->err);
    if (status || !folders)
        return status ? status : verify_one(v, NULL);
    for (int i = 0; i < n_given(v->cli) && !status; i++)
        status = verify_one(v, given_at(v->cli, i));
    return status;
}

/* What the file itself gives away; told before the numbers, and in the document. */
static void tell_suspects(struct verification *v)
{
    struct sal_arena arena = {0};
    const char *suspects[SAL_SUSPECTS_MAX];
    int n = sal_known_bad(&v->onnx, &arena, suspects);
    if (v->json)
        sal_json_array(v->json, "warnings");
    for (int i = 0; i < n; i++) {
        cli_warn(v->cli, suspects[i]);
        if (v->json)
            sal_json_text(v->json, NULL, suspects[i]);
    }
    if (v->json)
        sal_json_end(v->json);
    sal_arena_release(&arena);
}

static int verify_document(struct verification *v)
{
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    v->json = &json;
    sal_json_object(&json, NULL);
    inspect_head(&json, v->cli, v->model, &v->onnx);
    sal_json_int(&json, "threads", sal_pool_threads(v->pool));
    sal_json_bool(&json, "exact", option_given(&v->cli->options, OPT_EXACT));
    tell_suspects(v);
    sal_json_array(&json, "verify");
    enum sal_status status = verify_all(v);
    sal_json_end(&json);
    sal_json_bool(&json, "agrees", !v->differs);
    sal_json_end(&json);
    int code = status ? cli_fail(v->err) : cli_print_json(&json);
    sal_buffer_release(&buffer);
    return code ? code : sal_status_exit_code(v->differs ? SAL_NO : SAL_OK);
}

static int verify(struct verification *v)
{
    if (v->cli->json)
        return verify_document(v);
    tell_suspects(v);
    if (verify_all(v))
        return cli_fail(v->err);
    puts(v->differs ? "The model does not compute what was recorded."
                    : "The model computes what was recorded.");
    return sal_status_exit_code(v->differs ? SAL_NO : SAL_OK);
}

int inspect_verify(struct cli *cli, const char *model)
{
    struct sal_error err = {0};
    struct verification v = {.cli = cli, .model = model, .err = &err};
    int threads = (int)option_number(&cli->options, OPT_THREADS, 0);
    if (sal_onnx_open(&v.onnx, model, &err))
        return cli_fail(&err);
    int code = sal_pool_open(&v.pool, threads, &err) ? cli_fail(&err) : verify(&v);
    sal_pool_close(v.pool);
    sal_onnx_close(&v.onnx);
    return code;
}
