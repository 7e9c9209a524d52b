#include <string.h>

#include "cli.h"
#include "saliscope/agreement.h"
#include "saliscope/like.h"
#include "saliscope/model.h"
#include "saliscope/probe.h"
#include "saliscope/tui.h"

/* Where a listing goes: a table for people or JSON. Every row starts with a name
 * and a title; a kind may add more. */
struct listing {
    const struct cli *cli;
    struct sal_json *json; /* NULL: text */
    struct cli_table table;
};

static void begin(struct listing *listing, const char *name, const char *title)
{
    if (!listing->json) {
        cli_table_add(&listing->table, "%s", name);
        cli_table_add(&listing->table, "%s", title);
        return;
    }
    sal_json_object(listing->json, NULL);
    sal_json_text(listing->json, "name", name);
    sal_json_text(listing->json, "title", title);
}

static void end(struct listing *listing)
{
    if (listing->json)
        sal_json_end(listing->json);
}

static void row(struct listing *listing, const char *name, const char *title)
{
    begin(listing, name, title);
    end(listing);
}

/* ---- methods --------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [SAL_PARAM_INT] = "int",
    [SAL_PARAM_REAL] = "real",
    [SAL_PARAM_BOOL] = "bool",
    [SAL_PARAM_CHOICE] = "choice",
    [SAL_PARAM_SET] = "set",
};

static void param_json(struct sal_json *json, const struct sal_param *param)
{
    sal_json_object(json, NULL);
    sal_json_text(json, "name", param->name);
    sal_json_text(json, "type", type_names[param->type]);
    if (param->choices) {
        char text[256];
        sal_json_text(json, "default",
                      sal_param_text(param, param->fallback, text, sizeof(text)));
        sal_json_array(json, "choices");
        for (int i = 0; param->choices[i]; i++)
            sal_json_text(json, NULL, param->choices[i]);
        sal_json_end(json);
    } else if (param->type == SAL_PARAM_BOOL) {
        sal_json_bool(json, "default", param->fallback != 0);
    } else {
        sal_json_real(json, "default", param->fallback);
        sal_json_real(json, "min", param->min);
        sal_json_real(json, "max", param->max);
    }
    sal_json_text(json, "unit", param->unit);
    sal_json_text(json, "help", param->help);
    sal_json_end(json);
}

static void param_text(struct cli_table *table, const struct sal_param *param)
{
    char value[128];
    sal_param_text(param, param->fallback, value, sizeof(value));
    cli_table_add(table, "  %s=%s%s%s", param->name, value, *param->unit ? " " : "",
                  param->unit);
    cli_table_add(table, "%s", param->help);
}

/* In a listing for people, parameters that the row above has too are named in one line. */
static const struct sal_param *same_above(const struct sal_param *param,
                                          const struct sal_param *above)
{
    for (; above && above->name; above++)
        if (strcmp(above->name, param->name) == 0 && above->help == param->help &&
            above->fallback == param->fallback)
            return above;
    return NULL;
}

static void put_short(struct listing *listing, const struct sal_param *list,
                      const struct sal_param *above)
{
    char names[160] = "";
    for (int k = 0; list && list[k].name; k++) {
        size_t used = strlen(names);
        if (!same_above(&list[k], above))
            param_text(&listing->table, &list[k]);
        else if (used < sizeof(names))
            snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", list[k].name);
    }
    if (!*names)
        return;
    cli_table_add(&listing->table, "  %s", names);
    cli_table_add(&listing->table, "as above");
}

static void put_params(struct listing *listing, const struct sal_param *list)
{
    if (listing->json)
        sal_json_array(listing->json, "parameters");
    for (int k = 0; list && list[k].name; k++)
        if (listing->json)
            param_json(listing->json, &list[k]);
        else
            param_text(&listing->table, &list[k]);
    if (listing->json)
        sal_json_end(listing->json);
}

static void list_methods(struct listing *listing)
{
    for (int i = 0; sal_methods[i]; i++) {
        const struct sal_method *method = sal_methods[i];
        begin(listing, method->name, method->title);
        if (listing->json) {
            sal_json_text(listing->json, "formula", method->formula);
            sal_json_text(listing->json, "paper", method->paper);
            sal_json_text(listing->json, "semantics", method->semantics);
            sal_json_bool(listing->json, "gradient", method->needs & SAL_NEEDS_GRADIENT);
            sal_json_bool(listing->json, "layer", method->needs & SAL_NEEDS_LAYER);
            sal_json_bool(listing->json, "channels", method->needs & SAL_HAS_CHANNELS);
            sal_json_bool(listing->json, "pixelwise", method->needs & SAL_PIXELWISE);
            sal_json_bool(listing->json, "attention", method->needs & SAL_NEEDS_ATTENTION);
        }
        put_params(listing, method->params);
        end(listing);
    }
}

/* What severities 1 to 5 set, by way and table. */
static void put_severities(struct sal_json *json, const struct sal_probe *probe)
{
    const char *name;
    double settings[SAL_SEVERITIES];
    if (!sal_probe_severities(probe, 0, 0, &name, settings))
        return;
    sal_json_array(json, "severities");
    for (int way = 0; sal_probe_severities(probe, 0, way, &name, settings); way++) {
        sal_json_object(json, NULL);
        sal_json_text(json, "way", *name ? name : NULL);
        for (int table = 0; sal_severity_table_names[table]; table++)
            if (sal_probe_severities(probe, table, way, &name, settings))
                sal_json_reals(json, sal_severity_table_names[table], settings, SAL_SEVERITIES);
        sal_json_end(json);
    }
    sal_json_end(json);
}

static void list_some_probes(struct listing *listing, unsigned needs)
{
    const struct sal_param *above = NULL;
    for (int i = 0; sal_probe_list[i]; i++) {
        const struct sal_probe *probe = sal_probe_list[i];
        if ((probe->needs & needs) != needs)
            continue;
        begin(listing, probe->name, probe->title);
        if (listing->json) {
            sal_json_text(listing->json, "formula", probe->formula);
            sal_json_text(listing->json, "paper", probe->paper);
            sal_json_bool(listing->json, "gradient", probe->needs & SAL_PROBE_GRADIENT);
            sal_json_bool(listing->json, "attack", probe->needs & SAL_PROBE_ATTACK);
            sal_json_bool(listing->json, "holds", probe->needs & SAL_PROBE_HOLDS);
            sal_json_bool(listing->json, "random", probe->needs & SAL_PROBE_DRAWS);
            put_params(listing, probe->params);
            put_severities(listing->json, probe);
        } else {
            put_short(listing, probe->params, above);
        }
        above = probe->params;
        end(listing);
    }
}

static void list_probes(struct listing *listing)
{
    list_some_probes(listing, 0);
}

static void list_attacks(struct listing *listing)
{
    list_some_probes(listing, SAL_PROBE_ATTACK);
}

/* ---- the other kinds ---------------------------------------------------------------------- */

static void list_colormaps(struct listing *listing)
{
    for (const struct sal_colormap *map = sal_colormaps; map->name; map++) {
        begin(listing, map->name, map->title);
        if (listing->json)
            sal_json_bool(listing->json, "diverging", map->diverging);
        end(listing);
    }
}

static void list_operators(struct listing *listing)
{
    struct sal_operator op;
    for (int i = 0; sal_operator_at(i, &op); i++) {
        char title[64];
        snprintf(title, sizeof(title), "opset %d to %d%s", op.since, op.until,
                 op.gradient ? ", with gradient" : "");
        begin(listing, op.name, title);
        if (listing->json) {
            sal_json_int(listing->json, "since", op.since);
            sal_json_int(listing->json, "until", op.until);
            sal_json_bool(listing->json, "gradient", op.gradient);
        }
        end(listing);
    }
}

static void list_loaders(struct listing *listing)
{
    for (int i = 0; sal_image_loaders[i]; i++) {
        begin(listing, sal_image_loaders[i]->name, sal_image_loaders[i]->title);
        if (listing->json)
            sal_json_text(listing->json, "extensions", sal_image_loaders[i]->extensions);
        end(listing);
    }
}

static void list_keys(struct listing *listing)
{
    for (const struct sal_tui_key *key = sal_tui_keys; key->keys; key++)
        row(listing, key->keys, key->help);
}

static void list_presets(struct listing *listing)
{
    for (const struct sal_preset *preset = sal_presets; preset->name; preset++)
        row(listing, preset->name, preset->title);
}

static void row_json(struct sal_json *json, const struct sal_like_row *row)
{
    sal_json_object(json, NULL);
    sal_json_text(json, "method", row->method);
    sal_json_text(json, "call", row->call);
    sal_json_text(json, "score", row->score ? row->score : "logit");
    sal_json_array(json, "parameters");
    for (int i = 0; i < SAL_LIKE_PARAMS_MAX && row->params[i]; i++)
        sal_json_text(json, NULL, row->params[i]);
    sal_json_end(json);
    sal_json_text(json, "finish", sal_finish_names[row->finish]);
    sal_json_bool(json, "one_channel", row->one_channel);
    sal_json_end(json);
}

static void row_text(struct cli_table *table, const struct sal_like_row *row)
{
    char text[256] = "";
    size_t used = (size_t)snprintf(text, sizeof(text), "%s:", row->call);
    for (int i = 0; i < SAL_LIKE_PARAMS_MAX && row->params[i] && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " %s", row->params[i]);
    if (row->score && used < sizeof(text))
        used += (size_t)snprintf(text + used, sizeof(text) - used, " --score %s", row->score);
    if (row->finish && used < sizeof(text))
        snprintf(text + used, sizeof(text) - used, ", %s", sal_finish_titles[row->finish]);
    cli_table_add(table, "  %s%s", row->method, row->one_channel ? " (of one channel)" : "");
    cli_table_add(table, "%s", text);
}

static void list_libraries(struct listing *listing)
{
    for (const struct sal_like *like = sal_likes; like->name; like++) {
        begin(listing, like->name, like->title);
        if (listing->json)
            sal_json_array(listing->json, "methods");
        for (const struct sal_like_row *row = like->rows; row->method; row++)
            if (listing->json)
                row_json(listing->json, row);
            else
                row_text(&listing->table, row);
        if (listing->json)
            sal_json_end(listing->json);
        end(listing);
    }
}

static void list_writers(struct listing *listing)
{
    for (const struct sal_writer *writer = sal_writers; writer->extension; writer++) {
        char title[256];
        bool both = strcmp(writer->title, writer->probe_title) == 0;
        snprintf(title, sizeof(title), "%s%s%s", writer->title, both ? "" : "; of a probe ",
                 both ? "" : writer->probe_title);
        row(listing, writer->extension, title);
    }
}

static void list_metrics(struct listing *listing)
{
    for (const struct sal_measure *measure = sal_measures; measure->name; measure++) {
        begin(listing, measure->name, measure->help);
        if (listing->json) {
            sal_json_text(listing->json, "unit", measure->unit);
            sal_json_text(listing->json, "paper", measure->paper);
        }
        end(listing);
    }
}

static const struct {
    const char *name, *title;
    void (*fill)(struct listing *listing);
} kinds[] = {
    {"methods", "saliency methods and their parameters, for -M and -P", list_methods},
    {"probes", "altered inputs and their parameters, for -A and -P", list_probes},
    {"attacks", "those probes that look for a changed decision", list_attacks},
    {"metrics", "how far two maps agree, for the maps of probe -M", list_metrics},
    {"colormaps", "for --colormap", list_colormaps},
    {"operators", "ONNX operators and the opsets they cover", list_operators},
    {"loaders", "image formats", list_loaders},
    {"keys", "keys in the terminal workbench", list_keys},
    {"presets", "preprocessing, for --preset", list_presets},
    {"libraries", "methods as other libraries have them, for --like", list_libraries},
    {"writers", "output files, by extension, for -o", list_writers},
};
enum { N_KINDS = sizeof(kinds) / sizeof(*kinds) };

static void list_kinds(struct listing *listing)
{
    for (int i = 0; i < N_KINDS; i++)
        row(listing, kinds[i].name, kinds[i].title);
}

static int print_document(struct cli *cli, const char *what,
                          void (*fill)(struct listing *))
{
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    struct listing listing = {.cli = cli, .json = &json};
    sal_json_object(&json, NULL);
    sal_json_text(&json, "saliscope", SAL_VERSION);
    sal_json_text(&json, "command", (const char *)cli->program.data);
    sal_json_array(&json, what);
    fill(&listing);
    sal_json_end(&json);
    sal_json_end(&json);
    int status = cli_print_json(&json);
    sal_buffer_release(&buffer);
    return status;
}

static int print_list(struct cli *cli, const char *what, void (*fill)(struct listing *))
{
    if (cli->json)
        return print_document(cli, what, fill);
    struct listing listing = {.cli = cli, .table = {.align = "ll"}};
    fill(&listing);
    cli_table_print(&listing.table, stdout, "");
    return 0;
}

int cmd_list(struct cli *cli)
{
    const struct options *options = &cli->options;
    if (!options->n_operands)
        return print_list(cli, "lists", list_kinds);
    if (options->n_operands > 1)
        return cli_usage("list takes one name, not %d", options->n_operands);
    const char *what = options->operands[0];
    struct nearest nearest = {.word = what};
    for (int i = 0; i < N_KINDS; i++) {
        if (strcmp(kinds[i].name, what) == 0)
            return print_list(cli, what, kinds[i].fill);
        nearest_offer(&nearest, kinds[i].name);
    }
    return cli_usage("there is no list of '%s'; %s%s", what,
                     nearest.best ? nearest.best : "'saliscope list' names them",
                     nearest.best ? " is near" : "");
}
