#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "inspect.h"
#include "saliscope/text.h"

static void heading(const struct cli *cli, const char *text)
{
    printf("\n%s%s%s\n", cli_bold(cli), text, cli_plain(cli));
}

/* Two columns and a third for where the value came from. */
static void fact(struct cli_table *table, const char *name, const char *value,
                 const char *source)
{
    cli_table_add(table, "%s", name);
    cli_table_add(table, "%s", value);
    cli_table_add(table, "%s", source ? source : "");
}

static const char *amount(double value, char *dst, size_t capacity)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    int unit = 0;
    for (; value >= 9999.5 && unit < 4; unit++)
        value /= 1000;
    snprintf(dst, capacity, unit ? "%.4g%s" : "%.0f%s", value, units[unit]);
    return dst;
}

/* Nothing where no convolution could be one. */
static void winograd_fact(struct cli_table *table, struct sal_session *session)
{
    struct sal_winograd_use use[2];
    if (!sal_session_winograd(session, use) ||
        !(use[0].layers + use[0].refused + use[1].layers + use[1].refused))
        return;
    const struct sal_winograd_use *worse = use[1].error > use[0].error ? &use[1] : &use[0];
    char text[256], refused[64] = "";
    if (use[0].refused + use[1].refused)
        snprintf(refused, sizeof(refused), "; refused %d and %d, over %.1g", use[0].refused,
                 use[1].refused, use->limit);
    snprintf(text, sizeof(text), "%d layers forward, %d back, error at most %.2g%s",
             use[0].layers, use[1].layers, worse->error, refused);
    fact(table, "Winograd", text, worse->worst);
}

static void print_file(struct sal_session *session)
{
    const struct sal_model *model = sal_session_model(session);
    const struct sal_onnx *onnx = sal_model_onnx(model);
    struct sal_model_figures figures = sal_model_figures(model);
    char text[256], plain[32], gradient[32];
    struct cli_table table = {.align = "lll"};
    snprintf(text, sizeof(text), "ONNX, IR %lld, opset %lld, %.1f MB",
             (long long)onnx->ir_version, (long long)onnx->opset,
             (double)onnx->file_size / 1e6);
    fact(&table, "file", text, NULL);
    if (*onnx->producer) {
        snprintf(text, sizeof(text), "%.100s %.100s", onnx->producer,
                 onnx->producer_version);
        fact(&table, "producer", text, NULL);
    }
    snprintf(text, sizeof(text), "%lld, %lld after folding", (long long)figures.nodes,
             (long long)figures.live_nodes);
    fact(&table, "nodes", text, NULL);
    fact(&table, "parameters", amount((double)figures.parameters, text, sizeof(text)),
         NULL);
    fact(&table, "multiply-adds", amount(figures.macs, text, sizeof(text)), NULL);
    snprintf(text, sizeof(text), "%sB forward, %sB with gradient, at batch 1",
             amount((double)figures.forward_bytes, plain, sizeof(plain)),
             amount((double)figures.gradient_bytes, gradient, sizeof(gradient)));
    fact(&table, "activations", text, NULL);
    winograd_fact(&table, session);
    cli_table_print(&table, stdout, "  ");
}

/* ---- input -------------------------------------------------------------------------- */

static const char *numbers(const double *values, int n, char *dst, size_t capacity)
{
    size_t used = 0;
    bool same = true;
    for (int i = 1; i < n; i++)
        same = same && values[i] == values[0];
    for (int i = 0; i < (same ? 1 : n) && used < capacity; i++)
        used += (size_t)snprintf(dst + used, capacity - used, "%s%.6g", i ? " " : "",
                                 values[i]);
    return dst;
}

static void print_input(const struct sal_model *model)
{
    const struct sal_model_input *input = sal_model_input(model);
    const struct sal_preprocessing *spec = sal_model_preprocessing(model);
    struct sal_shape shape = sal_model_value(model, input->value).shape;
    char text[256], dims[128];
    int channels = input->channels < 4 ? input->channels : 4;
    struct cli_table table = {.align = "lll"};
    snprintf(text, sizeof(text), "%.100s, %s%s", input->name,
             sal_shape_text(&shape, dims, sizeof(dims)),
             input->batch_free ? ", batch is free" : "");
    fact(&table, "tensor", text, NULL);
    fact(&table, "layout", sal_layout_names[input->layout], spec->source.layout);
    fact(&table, "channels", sal_channels_names[spec->channels], spec->source.channels);
    snprintf(text, sizeof(text), "%d x %d", input->width, input->height);
    fact(&table, "size", text, spec->source.size);
    snprintf(text, sizeof(text), "%s%s%s", sal_filter_names[spec->resize],
             spec->antialias ? ", antialias" : "", spec->round ? ", rounded" : "");
    fact(&table, "resize", text, spec->source.resize);
    fact(&table, "fit", sal_fit_names[spec->fit], spec->source.fit);
    snprintf(text, sizeof(text), "%g .. %g", spec->range[0], spec->range[1]);
    fact(&table, "range", text, spec->source.range);
    fact(&table, "mean", numbers(spec->mean, channels, text, sizeof(text)),
         spec->source.mean);
    fact(&table, "std", numbers(spec->std, channels, text, sizeof(text)),
         spec->source.std);
    cli_table_print(&table, stdout, "  ");
}

/* ---- outputs and classes ---------------------------------------------------------------- */

static void print_outputs(const struct sal_model *model)
{
    const struct sal_onnx_graph *graph = &sal_model_onnx(model)->graph;
    const struct sal_model_output *output = sal_model_output(model);
    char text[256], dims[128];
    struct cli_table table = {.align = "lll"};
    for (int i = 0; i < graph->n_outputs; i++) {
        int id = sal_model_find(model, graph->outputs[i].name);
        struct sal_shape shape = {0};
        bool known = id >= 0 && sal_model_value(model, id).known;
        if (known)
            shape = sal_model_value(model, id).shape;
        fact(&table, i ? "" : "outputs", graph->outputs[i].name,
             known ? sal_shape_text(&shape, dims, sizeof(dims)) : "not computed");
    }
    snprintf(text, sizeof(text), "%d", output->n);
    fact(&table, "logits", sal_model_value(model, output->value).name, NULL);
    fact(&table, "classes", text, NULL);
    snprintf(text, sizeof(text), "%s%s%.100s%s",
             sal_activation_names[output->activation],
             output->bypassed ? " (" : "", output->bypassed ? output->bypassed : "",
             output->bypassed ? " by-passed)" : "");
    fact(&table, "activation", text, output->activation_source);
    cli_table_print(&table, stdout, "  ");
}

static void print_classes(const struct cli *cli, const struct sal_model *model)
{
    enum { SHOWN = 20 };
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    int n = sal_model_output(model)->n;
    if (!sidecar->n_classes)
        return;
    heading(cli, "Classes");
    struct cli_table table = {.align = "rll"};
    for (int i = 0; i < n && i < SHOWN; i++) {
        double threshold = i < sidecar->n_classes ? sidecar->classes[i].threshold
                                                  : (double)NAN;
        cli_table_add(&table, "%d", i);
        cli_table_add(&table, "%s", sal_model_class(model, i));
        if (isnan(threshold))
            cli_table_add(&table, "%s", "");
        else
            cli_table_add(&table, "flagged from %g %%", threshold * 100);
    }
    cli_table_print(&table, stdout, "  ");
    if (n > SHOWN)
        printf("  (%d more; --json lists all)\n", n - SHOWN);
}

/* ---- graph ---------------------------------------------------------------------------------- */

static void print_operators(const struct sal_session *session)
{
    int n;
    struct sal_operator_count *counts = sal_session_operators(session, &n);
    struct cli_table table = {.align = "rl"};
    for (int i = 0; counts && i < n; i++) {
        cli_table_add(&table, "%d", counts[i].count);
        cli_table_add(&table, "%s", counts[i].name);
    }
    cli_table_print(&table, stdout, "  ");
    free(counts);
}

static void print_layers(const struct sal_model *model)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    struct cli_table table = {.align = "llrll"};
    for (int i = 0; i < n; i++) {
        struct sal_model_value value = sal_model_value(model, layers[i].value);
        int outside = layers[i].tokens - layers[i].height * layers[i].width;
        cli_table_add(&table, "%s", value.name);
        cli_table_add(&table, "%s", value.op);
        cli_table_add(&table, "%d x %d x %d", layers[i].channels, layers[i].height,
                      layers[i].width);
        if (layers[i].tokens && outside)
            cli_table_add(&table, "tokens, %d left out", outside);
        else
            cli_table_add(&table, "%s", layers[i].tokens ? "tokens" : "");
        cli_table_add(&table, "%s", i == automatic ? "auto" : "");
    }
    cli_table_print(&table, stdout, "  ");
}

static void print_all(struct cli *cli)
{
    struct sal_model *model = sal_session_model(cli->session);
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    char text[1024];
    snprintf(text, sizeof(text), "%.400s%s%.200s%s%.100s", sal_model_path(model),
             sidecar->name ? ": " : "", sidecar->name ? sidecar->name : "",
             sidecar->version ? " " : "", sidecar->version ? sidecar->version : "");
    char clean[3 * sizeof(text)];
    printf("%s%s%s\n", cli_bold(cli), sal_text_clean(clean, sizeof(clean), text),
           cli_plain(cli));
    print_file(cli->session);
    heading(cli, "Input");
    print_input(model);
    heading(cli, "Output");
    print_outputs(model);
    print_classes(cli, model);
    heading(cli, "Operators");
    print_operators(cli->session);
    heading(cli, "Layers for -l (channels x height x width)");
    print_layers(model);
}

static int print_document(struct cli *cli)
{
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    sal_json_object(&json, NULL);
    sal_session_record_head(cli->session, &json);
    sal_session_record_model(cli->session, &json);
    sal_json_end(&json);
    int status = cli_print_json(&json);
    sal_buffer_release(&buffer);
    return status;
}

/* The operand that is the model: the first that ends in .onnx, else the first. The
 * others are moved together. NULL: there is none. */
static const char *take_model(struct options *options)
{
    int at = 0;
    for (int i = 0; i < options->n_operands; i++) {
        size_t size = strlen(options->operands[i]);
        if (size > 5 && strcmp(options->operands[i] + size - 5, ".onnx") == 0) {
            at = i;
            break;
        }
    }
    if (options->n_operands == 0)
        return NULL;
    const char *model = options->operands[at];
    options->n_operands--;
    for (int i = at; i < options->n_operands; i++)
        options->operands[i] = options->operands[i + 1];
    return model;
}

int cmd_inspect(struct cli *cli)
{
    struct options *options = &cli->options;
    const char *model = option_text(options, OPT_MODEL, NULL);
    bool verify = option_given(options, OPT_VERIFY);
    if (!model)
        model = take_model(options);
    if (!model || (options->n_operands && !verify))
        return cli_usage("inspect needs one model: saliscope inspect MODEL.onnx");
    if (option_given(options, OPT_TOLERANCE) && !verify)
        return cli_usage("--tolerance is of --verify");
    cli_catch_signals(model);
    if (verify)
        return inspect_verify(cli, model);
    struct sal_error err = {0};
    if (cli_open_session(cli, model, &err)) {
        if (err.status == SAL_UNSUPPORTED)
            inspect_missing(cli, model, &err);
        return cli_fail(&err);
    }
    if (cli->json)
        return print_document(cli);
    print_all(cli);
    return 0;
}
