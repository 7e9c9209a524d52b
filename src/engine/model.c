#include "saliscope/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "binding.h"
#include "known_bad.h"
#include "model_parts.h"
#include "output.h"
#include "run_parts.h"

enum { WARNINGS_MAX = 16 };

struct sal_model {
    const char *path;
    struct sal_onnx onnx;
    struct sal_sidecar sidecar;
    struct sal_graph graph;
    struct sal_packs *packs;
    struct sal_shelf *shelf;
    struct sal_model_input input;
    struct sal_preprocessing preprocessing;
    const char *wanted; /* the tensor to score instead of the model's output; or NULL */
    bool force_opset;
    struct sal_model_output output;
    const struct sal_tail *tail;
    struct sal_layer *layers;
    int n_layers, automatic;
    struct sal_model_figures figures;
    size_t memory;
    const char *warnings[WARNINGS_MAX];
    int n_warnings;
    const char **class_names; /* [output.n] */
    struct sal_arena arena;
};

/* ---- opening ------------------------------------------------------------------ */

static void warn(struct sal_model *model, const char *text)
{
    if (text && model->n_warnings < WARNINGS_MAX)
        model->warnings[model->n_warnings++] = text;
}

static enum sal_status load_sidecar(struct sal_model *model,
                                    const struct sal_model_options *options,
                                    struct sal_error *err)
{
    const struct sal_onnx *onnx = &model->onnx;
    struct sal_metadata *metadata =
        sal_new(&model->arena, struct sal_metadata, onnx->n_properties);
    if (!metadata)
        return sal_fail(err, SAL_LIMIT, "no memory for the model");
    for (int i = 0; i < onnx->n_properties; i++)
        metadata[i] = (struct sal_metadata){onnx->properties[i].key,
                                            onnx->properties[i].value};
    return sal_sidecar_load(&model->sidecar,
                            &(struct sal_sidecar_request){
                                .model_path = model->path,
                                .path = options->sidecar,
                                .preset = options->preset,
                                .metadata = metadata,
                                .n_metadata = onnx->n_properties,
                            },
                            err);
}

/* ---- the image input ----------------------------------------------------------- */

static bool is_colour(int64_t dim)
{
    return dim == 1 || dim == 3;
}

/* NHWC shows in its shape: the last axis has one or three entries and the second
 * does not. A sidecar that says so decides. */
static enum sal_layout layout_of(const struct sal_model *model,
                                 const struct sal_onnx_value *input)
{
    if (strcmp(model->sidecar.input.source.layout, "default") != 0)
        return model->sidecar.input.layout;
    return is_colour(input->dim[3]) && !is_colour(input->dim[1]) ? SAL_LAYOUT_NHWC
                                                                  : SAL_LAYOUT_NCHW;
}

static enum sal_status check_input(const struct sal_model *model,
                                   const struct sal_onnx_value **input,
                                   struct sal_error *err)
{
    const struct sal_onnx_graph *graph = &model->onnx.graph;
    if (graph->n_inputs != 1)
        return sal_fail(err, graph->n_inputs ? SAL_UNSUPPORTED : SAL_BAD_INPUT,
                        "an image classifier has one input, this model has %d",
                        graph->n_inputs);
    *input = &graph->inputs[0];
    if ((*input)->rank != 4)
        return sal_fail(err, SAL_UNSUPPORTED,
                        "input '%s' must be an image batch with 4 axes, has %d",
                        (*input)->name, (*input)->rank);
    enum sal_kind kind;
    if (!sal_type_kind((*input)->type, &kind) || kind != SAL_REAL)
        return sal_fail(err, SAL_UNSUPPORTED, "input '%s' is %s, it must be floating point",
                        (*input)->name, sal_onnx_type_name((*input)->type));
    return SAL_OK;
}

/* A size from the model's own shape; from the sidecar where the axis is free. */
static enum sal_status side(int64_t declared, int wanted, const char *what,
                            const char *input, int *out, struct sal_error *err)
{
    if (declared < 0 && wanted <= 0)
        return sal_fail(err, SAL_USAGE,
                        "input '%s' leaves its %s open: give it in the sidecar (input.size)",
                        input, what);
    if (declared >= 0 && wanted > 0 && wanted != declared)
        return sal_fail(err, SAL_BAD_INPUT,
                        "the sidecar says %s %d, input '%s' has %lld", what, wanted, input,
                        (long long)declared);
    int64_t value = declared >= 0 ? declared : wanted;
    if (value < 1 || value > SAL_IMAGE_SIDE_MAX)
        return sal_fail(err, SAL_BAD_INPUT, "input '%s' has %s %lld", input, what,
                        (long long)value);
    *out = (int)value;
    return SAL_OK;
}

static enum sal_status find_input(struct sal_model *model, struct sal_error *err)
{
    const struct sal_onnx_value *declared = NULL;
    enum sal_status status = check_input(model, &declared, err);
    if (status)
        return status;
    struct sal_model_input *input = &model->input;
    *input = (struct sal_model_input){
        .value = 0,
        .name = declared->name,
        .layout = layout_of(model, declared),
        .batch_free = declared->dim[0] < 0,
    };
    bool last = input->layout == SAL_LAYOUT_NHWC;
    int64_t channels = declared->dim[last ? 3 : 1];
    if ((status = side(declared->dim[last ? 1 : 2], model->sidecar.input.height, "height",
                       input->name, &input->height, err)) ||
        (status = side(declared->dim[last ? 2 : 3], model->sidecar.input.width, "width",
                       input->name, &input->width, err)))
        return status;
    bool grey = model->sidecar.input.channels == SAL_GRAY;
    if (channels < 0)
        channels = grey ? 1 : 3;
    if (!is_colour(channels))
        return sal_fail(err, SAL_UNSUPPORTED,
                        "input '%s' must have 1 or 3 channels, has %lld", input->name,
                        (long long)channels);
    input->channels = (int)channels;
    return SAL_OK;
}

static enum sal_status complete_preprocessing(struct sal_model *model,
                                              struct sal_error *err)
{
    struct sal_preprocessing *p = &model->preprocessing;
    *p = model->sidecar.input;
    if (!p->width)
        p->source.size = "model";
    p->width = model->input.width;
    p->height = model->input.height;
    p->layout = model->input.layout;
    if (strcmp(p->source.layout, "default") == 0)
        p->source.layout = "model";
    bool silent = strcmp(p->source.channels, "default") == 0;
    if (silent && model->input.channels == 1) {
        p->channels = SAL_GRAY;
        p->source.channels = "model";
    }
    int wanted = p->channels == SAL_GRAY ? 1 : 3;
    if (wanted != model->input.channels)
        return sal_fail(err, SAL_BAD_INPUT,
                        "the sidecar says channels %s, input '%s' has %d",
                        sal_channels_names[p->channels], model->input.name,
                        model->input.channels);
    return SAL_OK;
}

enum sal_status sal_model_build_graph(const struct sal_model *model, int batch,
                                      struct sal_pool *pool, struct sal_graph *graph,
                                      struct sal_error *err)
{
    const struct sal_model_input *input = &model->input;
    struct sal_shape shape = {.rank = 4, .dim = {batch}};
    bool last = input->layout == SAL_LAYOUT_NHWC;
    shape.dim[last ? 3 : 1] = input->channels;
    shape.dim[last ? 1 : 2] = input->height;
    shape.dim[last ? 2 : 3] = input->width;
    return sal_graph_build(graph, &model->onnx,
                           &(struct sal_graph_options){
                               .shapes = &shape,
                               .memory = model->memory,
                               .output = model->wanted,
                               .force_opset = model->force_opset,
                               .like = graph == &model->graph ? NULL : &model->graph,
                               .pool = pool},
                           err);
}

/* ---- figures ---------------------------------------------------------------------- */

static enum sal_status count(struct sal_model *model, struct sal_error *err)
{
    const struct sal_graph *graph = &model->graph;
    struct sal_arena scratch = {0};
    struct sal_model_figures *figures = &model->figures;
    *figures = (struct sal_model_figures){
        .nodes = model->onnx.graph.n_nodes,
        .live_nodes = graph->n_nodes,
        .parameters = graph->parameters,
    };
    enum sal_status status = SAL_OK;
    for (int i = 0; i < graph->n_nodes && !status; i++) {
        const struct sal_node *node = &graph->nodes[i];
        struct sal_binding binding;
        if (!node->op->macs)
            continue;
        if (!sal_binding_init(&binding, node, &scratch)) {
            status = sal_fail(err, SAL_LIMIT, "no memory for the model");
            break;
        }
        for (int j = 0; j < node->n_in; j++)
            binding.in[j] = node->in[j] < 0 ? NULL : &graph->values[node->in[j]].tensor;
        struct sal_tensor out = graph->values[node->out[0]].tensor;
        binding.out[0] = &out;
        struct sal_kernel kernel = sal_binding_kernel(&binding, NULL);
        figures->macs += node->op->macs(&kernel);
    }
    sal_arena_release(&scratch);
    figures->forward_bytes = sal_run_size(graph, false);
    figures->gradient_bytes = sal_run_size(graph, true);
    return status;
}

/* ---- names of classes --------------------------------------------------------------- */

static enum sal_status name_classes(struct sal_model *model, struct sal_error *err)
{
    int n = model->output.n, known = model->sidecar.n_classes;
    if (known && known != n) {
        warn(model, sal_arena_format(&model->arena,
                                     "%d class names are given, the model has %d classes",
                                     known, n));
        known = known < n ? known : n;
    }
    model->class_names = sal_new(&model->arena, const char *, n);
    for (int i = 0; model->class_names && i < n; i++) {
        model->class_names[i] = i < known ? model->sidecar.classes[i].name
                                          : sal_arena_format(&model->arena, "class %d", i);
        if (!model->class_names[i])
            model->class_names = NULL;
    }
    if (!model->class_names)
        return sal_fail(err, SAL_LIMIT, "no memory for %d class names", n);
    return SAL_OK;
}

/* How gradients fare in a quantised model. */
static void warn_of_quantisation(struct sal_model *model)
{
    const struct sal_graph *graph = &model->graph;
    const struct sal_node *opaque = NULL;
    int steps = 0, n_opaque = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        int first = node->out[0];
        steps += node->op->straight && first >= 0 && graph->values[first].tensor.quantised;
        n_opaque += node->op->opaque != NULL;
        if (node->op->opaque && !opaque)
            opaque = node;
    }
    if (opaque)
        warn(model, sal_arena_format(&model->arena,
                                     "no gradient passes %d integer operator%s, the first "
                                     "being %s '%.120s': what needs one is refused",
                                     n_opaque, n_opaque > 1 ? "s" : "", opaque->op->name,
                                     opaque->name));
    else if (steps)
        warn(model, sal_arena_format(&model->arena,
                                     "gradients pass straight through %d quantisation "
                                     "step%s",
                                     steps, steps > 1 ? "s" : ""));
    if (model->output.unquantised)
        warn(model, "logits are read before the model quantises them: they may differ "
                    "from its own output by a rounding step, and where that saturates");
}

static void collect_warnings(struct sal_model *model)
{
    const struct sal_sidecar *sidecar = &model->sidecar;
    if (strcmp(sidecar->source, "none") == 0)
        warn(model, "no sidecar and no preset: pixels are scaled to 0..1 without mean or "
                    "std, which may not be what the model was trained on");
    if (sidecar->sha256 && strcasecmp(sidecar->sha256, sal_model_sha256(model)) != 0)
        warn(model, "the sidecar was written for another file: its sha256 differs from "
                    "the model's");
    const char *suspects[SAL_SUSPECTS_MAX];
    int n = sal_known_bad(&model->onnx, &model->arena, suspects);
    for (int i = 0; i < n; i++)
        warn(model, suspects[i]);
    if (model->onnx.ir_version > SAL_ONNX_IR_MAX)
        warn(model, sal_arena_format(&model->arena,
                                     "IR version %lld is newer than %d, the newest known: "
                                     "what is new in it is not looked at",
                                     (long long)model->onnx.ir_version, SAL_ONNX_IR_MAX));
    if (model->onnx.opset > SAL_OPSET_MAX)
        warn(model, sal_arena_format(&model->arena,
                                     "opset %lld is taken as %d, as --force-opset asks: "
                                     "compare the outputs with the original model's",
                                     (long long)model->onnx.opset, SAL_OPSET_MAX));
    if (model->tail)
        warn(model, sal_arena_format(&model->arena,
                                     "the output rescales each probability after its "
                                     "Sigmoid: logits are those before it, probabilities "
                                     "the output's; --score '%s' explains the output itself",
                                     model->graph.values[model->tail->to].name));
    warn_of_quantisation(model);
    if (model->output.activation == SAL_ACTIVATION_NONE &&
        strcmp(model->output.unit, "logit") == 0)
        warn(model, "neither the model nor the sidecar says how logits become "
                    "probabilities: only logits are shown");
}

/* Logits that only turn into the output through a Sigmoid and a tail behind it. */
static enum sal_status find_tail(struct sal_model *model, struct sal_error *err)
{
    struct sal_model_output *output = &model->output;
    const char *said = model->sidecar.activation_source;
    bool other = said && model->sidecar.activation != SAL_SIGMOID;
    if (other || output->bypassed || output->value != model->graph.outputs[0] ||
        strcmp(output->unit, "logit") != 0)
        return SAL_OK;
    enum sal_status status =
        sal_tail_find(&model->graph, output->value, &model->tail, &model->arena, err);
    if (status || !model->tail)
        return status;
    const struct sal_node *sigmoid =
        &model->graph.nodes[model->graph.values[model->tail->from].producer];
    output->value = sigmoid->in[0];
    output->activation = SAL_SIGMOID;
    output->activation_source = said ? said : "Sigmoid and what follows it";
    output->bypassed = "Sigmoid and what follows it";
    return SAL_OK;
}

/* The graph; of --score prob up to the probabilities, which the file may not have. */
static enum sal_status build(struct sal_model *model, const struct sal_model_options *options,
                             struct sal_error *err)
{
    const char *before = model->wanted;
    enum sal_status status =
        sal_model_build_graph(model, 1, options->pool, &model->graph, err);
    if (!status)
        status = sal_output_probability(&model->onnx, &model->graph, &model->sidecar,
                                        options->score, &model->arena, &model->wanted, err);
    if (status || model->wanted == before)
        return status;
    sal_graph_release(&model->graph);
    return sal_model_build_graph(model, 1, options->pool, &model->graph, err);
}

/* Everything whose failure is the model's own. */
static enum sal_status make_ready(struct sal_model *model,
                                  const struct sal_model_options *options,
                                  struct sal_error *err)
{
    enum sal_status status;
    if ((status = find_input(model, err)) ||
        (status = complete_preprocessing(model, err)) ||
        (status = sal_output_wanted(&model->sidecar, options->score, &model->arena,
                                    &model->wanted, err)))
        return status;
    if ((status = build(model, options, err)))
        return sal_known_bad_explain(&model->onnx, status, err);
    if ((status = sal_output_find(&model->graph, &model->onnx, &model->sidecar,
                                  options->score, &model->output, err)))
        return status;
    if (!model->graph.values[model->input.value].live)
        return sal_fail(err, SAL_BAD_INPUT, "the outputs do not depend on input '%s'",
                        model->input.name);
    if ((status = find_tail(model, err)) ||
        (status = sal_output_layers(&model->graph, model->input.layout, &model->sidecar,
                                    &model->output, &model->layers, &model->n_layers,
                                    &model->automatic, &model->arena, err)) ||
        (status = name_classes(model, err)))
        return status;
    return count(model, err);
}

static enum sal_status open_model(struct sal_model *model,
                                  const struct sal_model_options *options,
                                  struct sal_error *err)
{
    enum sal_status status = sal_onnx_open(&model->onnx, model->path, err);
    if (status || (status = load_sidecar(model, options, err)))
        return status;
    if ((status = make_ready(model, options, err)))
        return sal_fail_within(err, status, "%s", model->path);
    collect_warnings(model);
    return SAL_OK;
}

enum sal_status sal_model_open(struct sal_model **out, const char *path,
                               const struct sal_model_options *options,
                               struct sal_error *err)
{
    struct sal_model *model = calloc(1, sizeof(*model));
    if (!model)
        return sal_fail(err, SAL_LIMIT, "no memory for the model");
    model->memory = options->memory ? options->memory : sal_default_memory();
    model->force_opset = options->force_opset;
    model->packs = sal_packs_open();
    model->shelf = sal_shelf_open(model->memory / 4);
    model->path = sal_arena_copy(&model->arena, path, strlen(path));
    bool ready = model->path && model->packs && model->shelf;
    enum sal_status status = ready ? open_model(model, options, err)
                                   : sal_fail(err, SAL_LIMIT, "no memory for the model");
    if (status)
        sal_model_close(model);
    else
        *out = model;
    return status;
}

void sal_model_close(struct sal_model *model)
{
    if (!model)
        return;
    sal_shelf_close(model->shelf);
    sal_packs_close(model->packs);
    sal_graph_release(&model->graph);
    sal_sidecar_release(&model->sidecar);
    sal_onnx_close(&model->onnx);
    sal_arena_release(&model->arena);
    free(model);
}

/* ---- asking ------------------------------------------------------------------------- */

const char *sal_model_path(const struct sal_model *model)
{
    return model->path;
}

const struct sal_onnx *sal_model_onnx(const struct sal_model *model)
{
    return &model->onnx;
}

const struct sal_sidecar *sal_model_sidecar(const struct sal_model *model)
{
    return &model->sidecar;
}

const char *sal_model_sha256(struct sal_model *model)
{
    if (!*model->onnx.sha256)
        sal_onnx_hash(&model->onnx);
    return model->onnx.sha256;
}

const char *const *sal_model_warnings(const struct sal_model *model, int *n)
{
    *n = model->n_warnings;
    return model->warnings;
}

const struct sal_model_input *sal_model_input(const struct sal_model *model)
{
    return &model->input;
}

const struct sal_preprocessing *sal_model_preprocessing(const struct sal_model *model)
{
    return &model->preprocessing;
}

const struct sal_model_output *sal_model_output(const struct sal_model *model)
{
    return &model->output;
}

const struct sal_layer *sal_model_layers(const struct sal_model *model, int *n,
                                         int *automatic)
{
    *n = model->n_layers;
    *automatic = model->automatic;
    return model->layers;
}

const struct sal_layer *sal_model_layer(const struct sal_model *model, int value)
{
    for (int i = 0; i < model->n_layers; i++)
        if (model->layers[i].value == value)
            return &model->layers[i];
    return NULL;
}

struct sal_model_figures sal_model_figures(const struct sal_model *model)
{
    return model->figures;
}

const struct sal_graph *sal_model_graph(const struct sal_model *model)
{
    return &model->graph;
}

struct sal_packs *sal_model_packs(const struct sal_model *model)
{
    return model->packs;
}

struct sal_shelf *sal_model_shelf(const struct sal_model *model)
{
    return model->shelf;
}

const struct sal_tail *sal_model_tail(const struct sal_model *model)
{
    return model->tail;
}

size_t sal_model_memory(const struct sal_model *model)
{
    return model->memory;
}

int sal_model_n_values(const struct sal_model *model)
{
    return model->graph.n_values;
}

struct sal_model_value sal_model_value(const struct sal_model *model, int id)
{
    const struct sal_value *value = &model->graph.values[id];
    return (struct sal_model_value){
        .name = value->name,
        .node = value->node_name,
        .op = value->made_by,
        .shape = value->tensor.shape,
        .kind = value->tensor.kind,
        .constant = value->tensor.data,
        .known = value->tensor.type,
    };
}

int sal_model_find(const struct sal_model *model, const char *name)
{
    int id = sal_graph_find(&model->graph, name);
    for (int i = 0; id < 0 && *name && i < model->graph.n_values; i++)
        if (strcmp(model->graph.values[i].node_name, name) == 0)
            id = i;
    return id;
}

/* ---- scores ---------------------------------------------------------------------------- */

const char *sal_model_class(const struct sal_model *model, int index)
{
    return index >= 0 && index < model->output.n ? model->class_names[index] : "";
}

int sal_model_class_find(const struct sal_model *model, const char *text)
{
    char *end;
    long index = strtol(text, &end, 10);
    if (*text && !*end && index >= 0 && index < model->output.n)
        return (int)index;
    for (int i = 0; i < model->output.n; i++)
        if (strcmp(model->class_names[i], text) == 0)
            return i;
    for (int i = 0; i < model->output.n; i++)
        if (strcasecmp(model->class_names[i], text) == 0)
            return i;
    return -1;
}
