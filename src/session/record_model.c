#include <stdlib.h>
#include <string.h>

#include "record.h"

void sal_record_shape(struct sal_json *json, const char *key,
                      const struct sal_shape *shape)
{
    sal_json_ints(json, key, shape->dim, shape->rank);
}

static void end_sourced(struct sal_json *json, const char *source)
{
    sal_json_text(json, "source", source);
    sal_json_end(json);
}

static void write_choice(struct sal_json *json, const char *key, const char *value,
                         const char *source)
{
    sal_json_object(json, key);
    sal_json_text(json, "value", value);
    end_sourced(json, source);
}

static void write_numbers(struct sal_json *json, const char *key, const double *values,
                          int n, const char *source)
{
    sal_json_object(json, key);
    sal_json_reals(json, "value", values, n);
    end_sourced(json, source);
}

static void write_preprocessing(struct sal_json *json, const struct sal_model *model)
{
    const struct sal_preprocessing *spec = sal_model_preprocessing(model);
    const struct sal_model_input *input = sal_model_input(model);
    int channels = input->channels < 4 ? input->channels : 4;
    sal_json_object(json, "preprocessing");
    write_choice(json, "layout", sal_layout_names[spec->layout], spec->source.layout);
    write_choice(json, "channels", sal_channels_names[spec->channels],
                 spec->source.channels);
    write_numbers(json, "size", (double[]){input->width, input->height}, 2,
                  spec->source.size);
    sal_json_object(json, "resize");
    sal_json_text(json, "value", sal_filter_names[spec->resize]);
    sal_json_bool(json, "antialias", spec->antialias);
    sal_json_bool(json, "round", spec->round);
    end_sourced(json, spec->source.resize);
    write_choice(json, "fit", sal_fit_names[spec->fit], spec->source.fit);
    write_numbers(json, "range", spec->range, 2, spec->source.range);
    write_numbers(json, "mean", spec->mean, channels, spec->source.mean);
    write_numbers(json, "std", spec->std, channels, spec->source.std);
    sal_json_end(json);
}

void sal_record_model(struct sal_json *json, struct sal_session *session, bool redact)
{
    struct sal_model *model = session->model;
    const struct sal_onnx *onnx = sal_model_onnx(model);
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    const struct sal_model_input *input = sal_model_input(model);
    struct sal_shape shape = sal_model_value(model, input->value).shape;
    sal_json_object(json, "model");
    if (!redact)
        sal_json_text(json, "path", sal_model_path(model));
    sal_json_text(json, "sha256", sal_model_sha256(model));
    sal_json_text(json, "name", sidecar->name);
    sal_json_text(json, "version", sidecar->version);
    sal_json_text(json, "intended_use", sidecar->intended_use);
    sal_json_int(json, "opset", onnx->opset);
    sal_json_text(json, "producer", onnx->producer);
    sal_json_text(json, "producer_version", onnx->producer_version);
    sal_json_object(json, "input");
    sal_json_text(json, "name", input->name);
    sal_record_shape(json, "shape", &shape);
    sal_json_text(json, "layout", sal_layout_names[input->layout]);
    sal_json_end(json);
    if (redact && sidecar->source && strstr(sidecar->source, ".json"))
        sal_json_text(json, "sidecar", "file");
    else
        sal_json_text(json, "sidecar", sidecar->source);
    write_preprocessing(json, model);
    sal_json_end(json);
}


/* ---- what inspect adds --------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
    const struct sal_operator_count *x = a, *y = b;
    return x->count != y->count ? y->count - x->count : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct sal_operator_count *sal_session_operators(const struct sal_session *session,
                                                 int *n)
{
    const struct sal_onnx_graph *graph = &sal_model_onnx(session->model)->graph;
    size_t nodes = (size_t)graph->n_nodes;
    const char **names = calloc(nodes + 1, sizeof(*names));
    struct sal_operator_count *counts = calloc(nodes + 1, sizeof(*counts));
    *n = 0;
    if (!names || !counts) {
        free(names);
        free(counts);
        return NULL;
    }
    for (size_t i = 0; i < nodes; i++)
        names[i] = graph->nodes[i].op;
    qsort(names, nodes, sizeof(*names), by_name);
    for (size_t i = 0; i < nodes; i++) {
        if (!i || strcmp(names[i], names[i - 1]) != 0)
            counts[(*n)++].name = names[i];
        counts[*n - 1].count++;
    }
    free(names);
    qsort(counts, (size_t)*n, sizeof(*counts), by_count);
    return counts;
}

static void write_operators(struct sal_json *json, const struct sal_session *session)
{
    int n;
    struct sal_operator_count *counts = sal_session_operators(session, &n);
    sal_json_array(json, "operators");
    for (int i = 0; i < n; i++) {
        sal_json_object(json, NULL);
        sal_json_text(json, "name", counts[i].name);
        sal_json_int(json, "count", counts[i].count);
        sal_json_end(json);
    }
    sal_json_end(json);
    free(counts);
}

static void write_outputs(struct sal_json *json, const struct sal_model *model)
{
    const struct sal_onnx_graph *graph = &sal_model_onnx(model)->graph;
    sal_json_array(json, "outputs");
    for (int i = 0; i < graph->n_outputs; i++) {
        int id = sal_model_find(model, graph->outputs[i].name);
        sal_json_object(json, NULL);
        sal_json_text(json, "name", graph->outputs[i].name);
        if (id >= 0 && sal_model_value(model, id).known) {
            struct sal_shape shape = sal_model_value(model, id).shape;
            sal_record_shape(json, "shape", &shape);
        }
        sal_json_end(json);
    }
    sal_json_end(json);
    const struct sal_model_output *output = sal_model_output(model);
    sal_json_object(json, "logits");
    sal_json_text(json, "name", sal_model_value(model, output->value).name);
    sal_json_int(json, "classes", output->n);
    sal_json_text(json, "activation", sal_activation_names[output->activation]);
    sal_json_text(json, "activation_source", output->activation_source);
    sal_json_text(json, "bypassed", output->bypassed);
    sal_json_end(json);
}

static void write_classes(struct sal_json *json, const struct sal_model *model)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    sal_json_array(json, "classes");
    for (int i = 0; i < sal_model_output(model)->n; i++) {
        sal_json_object(json, NULL);
        sal_json_int(json, "index", i);
        sal_json_text(json, "name", sal_model_class(model, i));
        if (i < sidecar->n_classes) {
            sal_json_real(json, "threshold", sidecar->classes[i].threshold);
            sal_json_real(json, "prevalence", sidecar->classes[i].prevalence);
        }
        sal_json_end(json);
    }
    sal_json_end(json);
}

static void write_layers(struct sal_json *json, const struct sal_model *model)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    sal_json_array(json, "layers");
    for (int i = 0; i < n; i++) {
        struct sal_model_value value = sal_model_value(model, layers[i].value);
        sal_json_object(json, NULL);
        sal_json_text(json, "name", value.name);
        sal_json_text(json, "node", value.node);
        sal_json_text(json, "operator", value.op);
        sal_json_int(json, "channels", layers[i].channels);
        sal_json_int(json, "height", layers[i].height);
        sal_json_int(json, "width", layers[i].width);
        if (layers[i].tokens)
            sal_json_int(json, "tokens", layers[i].tokens);
        sal_json_bool(json, "auto", i == automatic);
        sal_json_end(json);
    }
    sal_json_end(json);
}

static void write_figures(struct sal_json *json, const struct sal_model *model)
{
    struct sal_model_figures figures = sal_model_figures(model);
    const struct sal_onnx *onnx = sal_model_onnx(model);
    sal_json_int(json, "ir_version", onnx->ir_version);
    sal_json_array(json, "opsets");
    for (int i = 0; i < onnx->n_opsets; i++) {
        sal_json_object(json, NULL);
        sal_json_text(json, "domain", onnx->opsets[i].domain);
        sal_json_int(json, "version", onnx->opsets[i].version);
        sal_json_end(json);
    }
    sal_json_end(json);
    sal_json_int(json, "file_bytes", (int64_t)onnx->file_size);
    sal_json_int(json, "nodes", figures.nodes);
    sal_json_int(json, "live_nodes", figures.live_nodes);
    sal_json_int(json, "parameters", figures.parameters);
    sal_json_int(json, "macs", (int64_t)figures.macs);
    sal_json_int(json, "forward_bytes", (int64_t)figures.forward_bytes);
    sal_json_int(json, "gradient_bytes", (int64_t)figures.gradient_bytes);
}

static void write_winograd(struct sal_json *json, struct sal_session *session)
{
    static const char *const ways[] = {"forward", "gradient"};
    struct sal_winograd_use use[2];
    if (!sal_session_winograd(session, use))
        return;
    sal_json_object(json, "winograd");
    sal_json_real(json, "limit", use->limit);
    for (int back = 0; back < 2; back++) {
        sal_json_object(json, ways[back]);
        sal_json_int(json, "layers", use[back].layers);
        sal_json_int(json, "refused", use[back].refused);
        sal_json_real(json, "error", use[back].error);
        sal_json_text(json, "worst", *use[back].worst ? use[back].worst : NULL);
        sal_json_end(json);
    }
    sal_json_end(json);
}

void sal_session_record_model(struct sal_session *session, struct sal_json *json)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(session->model);
    write_figures(json, session->model);
    write_winograd(json, session);
    write_outputs(json, session->model);
    write_classes(json, session->model);
    write_layers(json, session->model);
    write_operators(json, session);
    sal_json_array(json, "limitations");
    for (int i = 0; i < sidecar->n_limitations; i++)
        sal_json_text(json, NULL, sidecar->limitations[i]);
    sal_json_end(json);
}
