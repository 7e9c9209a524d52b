#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "saliscope/explain.h"

enum sal_sandbox_mode cli_sandbox(const struct cli *cli)
{
    if (option_given(&cli->options, OPT_REQUIRE_SANDBOX))
        return SAL_SANDBOX_REQUIRE;
    return option_given(&cli->options, OPT_NO_SANDBOX) ? SAL_SANDBOX_OFF
                                                       : SAL_SANDBOX_BEST;
}

/* What is given, else what a library explains. */
static const char *score_of(const struct options *given)
{
    const char *score = option_text(given, OPT_SCORE, NULL);
    const char *name = option_text(given, OPT_METHOD, sal_methods[0]->name);
    const struct sal_like *like = sal_like_find(option_text(given, OPT_LIKE, ""));
    const struct sal_method *method = sal_method_find(name);
    if (score || !like || !method)
        return score;
    const struct sal_like_row *row = sal_like_row_find(like, method, 0, NULL);
    return row ? row->score : NULL;
}

enum sal_status cli_open_session(struct cli *cli, const char *model,
                                 struct sal_error *err)
{
    const struct options *given = &cli->options;
    struct sal_session_options options = {
        .threads = (int)option_number(given, OPT_THREADS, 0),
        .batch = (int)option_number(given, OPT_BATCH, 0),
        .memory = (size_t)option_number(given, OPT_MEMORY, 0),
        .sandbox = cli_sandbox(cli),
        .sidecar = option_text(given, OPT_SIDECAR, NULL),
        .preset = option_text(given, OPT_PRESET, NULL),
        .score = score_of(given),
        .seed = (uint64_t)option_number(given, OPT_SEED, 0),
        .show_phi = option_given(given, OPT_SHOW_PHI),
        .redact_paths = option_given(given, OPT_REDACT_PATHS),
        .force_opset = option_given(given, OPT_FORCE_OPSET),
        .exact = option_given(given, OPT_EXACT),
        .precision = (enum sal_precision)option_number(given, OPT_PRECISION, SAL_F32),
        .previews = cli->previews,
        .any_method = cli->previews,
        .program = (const char *)cli->program.data,
    };
    enum sal_status status = sal_session_open(&cli->session, model, &options, err);
    if (status)
        return status;
    int n;
    const char *const *warnings =
        sal_model_warnings(sal_session_model(cli->session), &n);
    for (int i = 0; i < n; i++)
        cli_warn(cli, warnings[i]);
    return SAL_OK;
}

/* ---- the question ------------------------------------------------------------------- */

static enum sal_status find_method(const char *name, const struct sal_method **method,
                                   struct sal_error *err)
{
    *method = name ? sal_method_find(name) : sal_methods[0];
    if (*method)
        return SAL_OK;
    struct nearest nearest = {.word = name};
    for (int i = 0; sal_methods[i]; i++)
        nearest_offer(&nearest, sal_methods[i]->name);
    return sal_fail(err, SAL_USAGE, "there is no method '%s'; %s%s", name,
                    nearest.best ? nearest.best : "'saliscope list methods' shows all",
                    nearest.best ? " is near" : "");
}

static enum sal_status find_like(const char *name, const struct sal_like **like,
                                 struct sal_error *err)
{
    *like = name ? sal_like_find(name) : NULL;
    if (!name || *like)
        return SAL_OK;
    struct nearest nearest = {.word = name};
    for (const struct sal_like *row = sal_likes; row->name; row++)
        nearest_offer(&nearest, row->name);
    return sal_fail(err, SAL_USAGE, "there are no conventions of '%s'; %s%s", name,
                    nearest.best ? nearest.best : "'saliscope list libraries' shows all",
                    nearest.best ? " is near" : "");
}

static enum sal_status find_class(const struct sal_model *model, const char *text,
                                  int *index, struct sal_error *err)
{
    *index = text ? sal_model_class_find(model, text) : -1;
    if (!text || *index >= 0)
        return SAL_OK;
    int n = sal_model_output(model)->n;
    struct nearest nearest = {.word = text};
    for (int i = 0; i < n; i++)
        nearest_offer(&nearest, sal_model_class(model, i));
    if (nearest.best)
        return sal_fail(err, SAL_USAGE, "there is no class '%s'; '%s' is near", text,
                        nearest.best);
    return sal_fail(err, SAL_USAGE,
                    "there is no class '%s'; the model has %d, counted from 0 ('saliscope "
                    "inspect' shows them)",
                    text, n);
}

/* A class of that very name comes first. */
static bool means_all(const struct sal_model *model, const char *text)
{
    return strcmp(text, "all") == 0 && sal_model_class_find(model, text) < 0;
}

static enum sal_status one_class(const struct cli *cli, const char *command, int *index,
                                 struct sal_error *err)
{
    const struct option_values *given = &cli->options.value[OPT_CLASS];
    const struct sal_model *model = sal_session_model(cli->session);
    if (given->count > 1 || (given->count && means_all(model, given->text[0])))
        return sal_fail(err, SAL_USAGE, "%s takes one class; explain takes several, or all",
                        command);
    return find_class(model, given->count ? given->text[0] : NULL, index, err);
}

static void add_class(int *classes, int *n, int index)
{
    for (int i = 0; i < *n; i++)
        if (classes[i] == index)
            return;
    classes[(*n)++] = index;
}

/* Each once, in the order given; without -c the top class, -1. free() them. */
static enum sal_status find_classes(const struct cli *cli, int **classes, int *n,
                                    struct sal_error *err)
{
    const struct option_values *given = &cli->options.value[OPT_CLASS];
    const struct sal_model *model = sal_session_model(cli->session);
    int all = sal_model_output(model)->n;
    enum sal_status status = SAL_OK;
    *n = 0;
    *classes = calloc((size_t)all + 1, sizeof(**classes));
    if (!*classes)
        return sal_fail(err, SAL_LIMIT, "no memory for %d classes", all);
    if (!given->count)
        add_class(*classes, n, -1);
    for (int i = 0; i < given->count && !status; i++) {
        bool every = means_all(model, given->text[i]);
        int index = 0;
        if (!every)
            status = find_class(model, given->text[i], &index, err);
        for (int k = index; !status && k < (every ? all : index + 1); k++)
            add_class(*classes, n, k);
    }
    if (status)
        free(*classes);
    return status;
}

static enum sal_status find_layer(const struct sal_model *model, const char *text,
                                  int *layer, struct sal_error *err)
{
    *layer = -1;
    if (!text || strcmp(text, "auto") == 0)
        return SAL_OK;
    *layer = sal_model_find(model, text);
    if (*layer >= 0)
        return SAL_OK;
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    struct nearest nearest = {.word = text};
    for (int i = 0; i < n; i++)
        nearest_offer(&nearest, sal_model_value(model, layers[i].value).name);
    if (nearest.best)
        return sal_fail(err, SAL_USAGE, "there is no layer '%s'; '%s' is near", text,
                        nearest.best);
    return sal_fail(err, SAL_USAGE,
                    "there is no layer '%s'; 'saliscope inspect' shows them", text);
}

static enum sal_status check_channels(const struct options *given,
                                      const struct sal_method *method,
                                      struct sal_error *err)
{
    if (!(method->needs & SAL_HAS_CHANNELS))
        return sal_fail(err, SAL_USAGE, "%s has no input channels to keep", method->name);
    if (option_number(given, OPT_AT, SAL_AT_INPUT) > SAL_AT_INPUT)
        return sal_fail(err, SAL_USAGE, "--channels keep is at the input's resolution; "
                                        "leave --at out");
    return SAL_OK;
}

static enum sal_status set_params(const struct options *given, const char *owner,
                                  const struct sal_param *list, struct sal_params *params,
                                  struct sal_error *err)
{
    const struct option_values *pairs = &given->value[OPT_PARAM];
    enum sal_status status = SAL_OK;
    for (int i = 0; i < pairs->count && !status; i++)
        status = sal_params_set(params, list, pairs->text[i], owner, err);
    return status;
}

static enum sal_status set_roi(const struct options *given, struct sal_session_ask *ask,
                               struct sal_error *err)
{
    ask->roi = given->value[OPT_ROI].text;
    ask->n_roi = given->value[OPT_ROI].count;
    ask->where = (enum sal_where)option_number(given, OPT_WHERE, SAL_EVERYWHERE);
    if (ask->where != SAL_EVERYWHERE && !ask->n_roi)
        return sal_fail(err, SAL_USAGE, "--where %s needs a region: --roi",
                        sal_where_names[ask->where]);
    return SAL_OK;
}

/* What stands behind "owner." in text; NULL: it is another's. */
static const char *key_of(const char *text, const char *owner)
{
    size_t n = strlen(owner);
    return strncmp(text, owner, n) == 0 && text[n] == '.' ? text + n + 1 : NULL;
}

/* -P of a probe with a method beside it: KEY=VALUE is the probe's, METHOD.KEY=VALUE and
 * agreement.KEY=VALUE those of the maps. */
static enum sal_status set_probe_params(const struct options *given, struct sal_session_ask *ask,
                                        struct sal_error *err)
{
    const struct option_values *pairs = &given->value[OPT_PARAM];
    const struct sal_method *beside = ask->beside;
    enum sal_status status = SAL_OK;
    for (int i = 0; i < pairs->count && !status; i++) {
        const char *text = pairs->text[i];
        const char *own = beside ? key_of(text, beside->name) : NULL;
        const char *maps = beside ? key_of(text, "agreement") : NULL;
        if (own)
            status = sal_params_set(&ask->beside_params, beside->params, own, beside->name, err);
        else if (maps)
            status = sal_params_set(&ask->stability_params, sal_stability_params, maps,
                                    "agreement", err);
        else
            status = sal_params_set(&ask->params, ask->probe->params, text, ask->probe->name,
                                    err);
    }
    return status;
}

static enum sal_status find_beside(const struct cli *cli, struct sal_session_ask *ask,
                                   struct sal_error *err)
{
    const struct options *given = &cli->options;
    const char *layer = option_text(given, OPT_LAYER, NULL);
    if (!option_given(given, OPT_METHOD))
        return layer ? sal_fail(err, SAL_USAGE, "probe looks at a layer only with a method, -M")
                     : SAL_OK;
    enum sal_status status =
        find_method(option_text(given, OPT_METHOD, NULL), &ask->beside, err);
    if (status)
        return status;
    sal_params_init(&ask->beside_params, ask->beside->params);
    sal_params_init(&ask->stability_params, sal_stability_params);
    return find_layer(sal_session_model(cli->session), layer, &ask->layer, err);
}

enum sal_status cli_ask_probe(struct cli *cli, struct sal_session_ask *ask,
                              struct sal_error *err)
{
    const struct options *given = &cli->options;
    const char *name = option_text(given, OPT_PROBE, sal_probe_list[0]->name);
    struct nearest nearest = {.word = name};
    *ask = (struct sal_session_ask){.probe = sal_probe_find(name), .layer = -1};
    for (int i = 0; sal_probe_list[i]; i++)
        nearest_offer(&nearest, sal_probe_list[i]->name);
    if (!ask->probe)
        return sal_fail(err, SAL_USAGE, "there is no probe '%s'; %s%s", name,
                        nearest.best ? nearest.best : "'saliscope list probes' shows all",
                        nearest.best ? " is near" : "");
    sal_params_init(&ask->params, ask->probe->params);
    enum sal_status status = find_beside(cli, ask, err);
    if (!status)
        status = set_probe_params(given, ask, err);
    if (!status)
        status = set_roi(given, ask, err);
    return status ? status : one_class(cli, "probe", &ask->class_index, err);
}

/* All but the class. */
static enum sal_status ask_of_any(struct cli *cli, struct sal_session_ask *ask,
                                  struct sal_error *err)
{
    const struct options *given = &cli->options;
    const struct sal_model *model = sal_session_model(cli->session);
    *ask = (struct sal_session_ask){0};
    const struct sal_like *like;
    enum sal_status status =
        find_method(option_text(given, OPT_METHOD, NULL), &ask->method, err);
    if (!status)
        status = find_like(option_text(given, OPT_LIKE, NULL), &like, err);
    if (!status)
        status = sal_session_ask_method(cli->session, ask, ask->method, like, err);
    if (status)
        return status;
    if (!option_given(given, OPT_PROBE)) /* they are the probe's then */
        status = set_params(given, ask->method->name, ask->method->params, &ask->params, err);
    if (!status && option_number(given, OPT_CHANNELS, 0) > 0)
        status = check_channels(given, ask->method, err);
    if (!status)
        status = find_layer(model, option_text(given, OPT_LAYER, NULL), &ask->layer, err);
    return status;
}

enum sal_status cli_ask(struct cli *cli, struct sal_session_ask *ask,
                        struct sal_error *err)
{
    enum sal_status status = ask_of_any(cli, ask, err);
    return status ? status : one_class(cli, "open", &ask->class_index, err);
}

enum sal_status cli_ask_each(struct cli *cli, struct sal_session_ask **asks, int *n,
                             struct sal_error *err)
{
    struct sal_session_ask ask;
    int *classes;
    enum sal_status status = ask_of_any(cli, &ask, err);
    if (!status)
        status = find_classes(cli, &classes, n, err);
    if (status)
        return status;
    *asks = calloc((size_t)*n, sizeof(**asks));
    for (int i = 0; *asks && i < *n; i++) {
        (*asks)[i] = ask;
        (*asks)[i].class_index = classes[i];
    }
    free(classes);
    return *asks ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for %d classes", *n);
}

/* ---- how it is drawn ------------------------------------------------------------------- */

static enum sal_status parse_range(const char *text, struct sal_view *view,
                                   struct sal_error *err)
{
    if (!text)
        return SAL_OK;
    if (strcmp(text, "image") == 0) {
        view->range_mode = SAL_RANGE_MAP;
        return SAL_OK;
    }
    if (strcmp(text, "symmetric") == 0) {
        view->range_mode = SAL_RANGE_SYMMETRIC;
        return SAL_OK;
    }
    char *end;
    if (text[0] == 'p') {
        view->range_mode = SAL_RANGE_PERCENTILE;
        view->range.high = strtod(text + 1, &end);
        if (end != text + 1 && !*end && view->range.high > 0 && view->range.high <= 100)
            return SAL_OK;
    }
    view->range_mode = SAL_RANGE_FIXED;
    view->range.low = strtod(text, &end);
    if (end != text && *end == ':') {
        const char *high = end + 1;
        view->range.high = strtod(high, &end);
        if (end != high && !*end && view->range.low < view->range.high)
            return SAL_OK;
    }
    return sal_fail(err, SAL_USAGE,
                    "--range takes LO:HI with LO below HI, image, symmetric or a percentile "
                    "as p99, not '%s'",
                    text);
}

enum sal_status cli_view(const struct cli *cli, struct sal_view *view,
                         struct sal_error *err)
{
    const struct options *given = &cli->options;
    double alpha = option_number(given, OPT_ALPHA, 0.5);
    *view = (struct sal_view){.alpha = alpha > 0 ? alpha : -1,
                              .contour = option_number(given, OPT_CONTOUR, 0)};
    const char *name = option_text(given, OPT_COLORMAP, NULL);
    if (name && !(view->colormap = sal_colormap_find(name))) {
        struct nearest nearest = {.word = name};
        for (const struct sal_colormap *row = sal_colormaps; row->name; row++)
            nearest_offer(&nearest, row->name);
        return sal_fail(err, SAL_USAGE, "there is no colormap '%s'; %s%s", name,
                        nearest.best ? nearest.best
                                     : "'saliscope list colormaps' shows all",
                        nearest.best ? " is near" : "");
    }
    return parse_range(option_text(given, OPT_RANGE, NULL), view, err);
}
