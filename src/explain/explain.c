#include "saliscope/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"

#define X(name) &sal_method_##name,
const struct sal_method *const sal_methods[] = {SAL_METHODS(X) NULL};
#undef X

const struct sal_method *sal_method_find(const char *name)
{
    for (int i = 0; sal_methods[i]; i++)
        if (strcmp(sal_methods[i]->name, name) == 0)
            return sal_methods[i];
    return NULL;
}

enum sal_status sal_map_init(struct sal_map *map, int width, int height, int grid_width,
                             int grid_height, struct sal_error *err)
{
    map->width = width;
    map->height = height;
    map->grid_width = grid_width;
    map->grid_height = grid_height;
    map->values = calloc((size_t)width * (size_t)height, sizeof(float));
    map->grid = calloc((size_t)grid_width * (size_t)grid_height, sizeof(float));
    if (map->values && map->grid)
        return SAL_OK;
    sal_map_release(map);
    return sal_fail(err, SAL_LIMIT, "no memory for a %d x %d map", width, height);
}

void sal_map_release(struct sal_map *map)
{
    free(map->values);
    free(map->grid);
    *map = (struct sal_map){.layer = -1};
}

static enum sal_status check(const struct sal_method *method,
                             struct sal_question *question, struct sal_error *err)
{
    const struct sal_model *model = question->model;
    const struct sal_model_output *output = sal_model_output(model);
    if (question->class_index < 0 || question->class_index >= output->n)
        return sal_fail(err, SAL_USAGE, "class %d is not in 0..%d", question->class_index,
                        output->n - 1);
    if (!(method->needs & SAL_NEEDS_LAYER))
        return SAL_OK;
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    if (question->layer < 0 && automatic < 0)
        return sal_fail(err, SAL_UNSUPPORTED,
                        "%s needs a spatial feature map and this model has none",
                        method->title);
    if (question->layer < 0)
        question->layer = layers[automatic].value;
    if (!sal_model_layer(model, question->layer))
        return sal_fail(err, SAL_USAGE,
                        "'%s' is not a feature map %s can look at; inspect lists those "
                        "that are",
                        sal_model_value(model, question->layer).name, method->title);
    return SAL_OK;
}

static enum sal_status look_over(const struct sal_map *map, const struct sal_method *method,
                                 struct sal_error *err)
{
    for (long i = 0; i < (long)map->width * map->height; i++)
        if (!isfinite(map->values[i]))
            return sal_fail(err, SAL_BAD_INPUT,
                            "%s made a value that is not finite at %ld,%ld", method->title,
                            i % map->width, i / map->width);
    return SAL_OK;
}

enum sal_status sal_explain(const struct sal_method *method,
                            const struct sal_question *question, struct sal_map *map,
                            struct sal_error *err)
{
    struct sal_question resolved = *question;
    struct sal_params fallback;
    *map = (struct sal_map){.layer = -1, .unit = ""};
    if (!resolved.params) {
        sal_params_init(&fallback, method->params);
        resolved.params = &fallback;
    }
    enum sal_status status = check(method, &resolved, err);
    if (!status)
        status = method->run(&resolved, map, err);
    if (!status)
        status = look_over(map, method, err);
    if (status)
        sal_map_release(map);
    return status;
}
