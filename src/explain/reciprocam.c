/* ReciproCAM: what each position of the layer brings to the score on its own. All others are
 * set to zero, tokens that are no place in the picture stay, and what is behind the layer is
 * computed again; from that score the one with all positions at zero is taken, so that 0
 * means nothing. Where the rest of the network is a mean and a linear layer this is
 * Grad-CAM's map.
 *
 * OpenVINO XAI's map is the same without the subtraction, which its scaling to 0..1 makes no
 * difference to; of a transformer it zeroes the tokens behind the normalisation, and for
 * those it spreads the mask over 3 x 3 positions (mask=gaussian). The authors' code takes
 * probabilities. */
#include "cam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

enum { POSITION = 0, GAUSSIAN = 1 };

static const char *const masks[] = {"position", "gaussian", NULL};

static const struct sal_param params[] = {
    SAL_CAM_EVIDENCE("positive keeps positions that raise the score; both keeps those that "
                     "lower it too, as negative values"),
    {.name = "mask",
     .type = SAL_PARAM_CHOICE,
     .fallback = POSITION,
     .unit = "",
     .choices = masks,
     .help = "what is left of the layer: one position; or it and the eight around it, by "
             "1/4, 1/8 and 1/16, as in the paper"},
    {0},
};

struct mosaic {
    const struct sal_cam_view *view;
    bool gaussian;
    int64_t elements; /* of the layer's value */
    sal_real *empty;  /* [elements], with all positions at zero */
    double *grid;
    double nothing; /* the score with all positions at zero */
};

/* ---- passes ------------------------------------------------------------------------------- */

/* How much of a position is left, so far from the one that is shown. */
static double share(const struct mosaic *m, int64_t down, int64_t right)
{
    return m->gaussian ? (down ? 0.25 : 0.5) * (right ? 0.25 : 0.5) : 1;
}

static void show(const struct mosaic *m, int64_t row, int64_t column, double by, sal_real *x)
{
    const struct sal_layer *l = m->view->layer;
    int64_t at = l->at + row * l->step_row + column * l->step_column;
    for (int64_t k = 0; k < l->channels; k++, at += l->step_channel)
        x[at] = m->view->activation[at] * (sal_real)by;
}

static int64_t place_of(const struct mosaic *m, int64_t i)
{
    return sal_sweep_scatter(i - 1, m->view->pixels);
}

/* Input 0 shows no position. */
static void make(const void *context, int64_t i, sal_real *x)
{
    const struct mosaic *m = context;
    const struct sal_layer *l = m->view->layer;
    const int reach = m->gaussian ? 1 : 0;
    memcpy(x, m->empty, (size_t)m->elements * sizeof(*x));
    if (i == 0)
        return;
    int64_t row = place_of(m, i) / l->width, column = place_of(m, i) % l->width;
    for (int64_t y = row - reach; y <= row + reach; y++)
        for (int64_t z = column - reach; z <= column + reach; z++)
            if (y >= 0 && y < l->height && z >= 0 && z < l->width)
                show(m, y, z, share(m, y - row, z - column), x);
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)gradient;
    struct mosaic *m = context;
    if (i == 0)
        m->nothing = score;
    else
        m->grid[place_of(m, i)] = score - m->nothing;
}

/* ---- the method ----------------------------------------------------------------------------- */

static void explain(const struct mosaic *m, int64_t done, struct sal_map *map)
{
    map->partial = done < m->view->pixels;
    if (map->partial)
        snprintf(map->note, sizeof(map->note),
                 "%lld of %lld positions so far; 0 where there was none yet",
                 (long long)done, (long long)m->view->pixels);
    sal_map_check(map, "empty_score", "score with the layer at zero", m->nothing,
                  sal_unit_name(m->view->question->model, SAL_UNIT_SCORE));
}

static enum sal_status preview(void *context, const struct sal_sweep *sweep,
                               struct sal_map *map, struct sal_error *err)
{
    const struct mosaic *m = context;
    explain(m, sweep->done - 1, map);
    return sal_cam_preview(m->view, m->grid, map, err);
}

static enum sal_status sweep_over(struct mosaic *m, struct sal_map *map,
                                  struct sal_error *err)
{
    memcpy(m->empty, m->view->activation, (size_t)m->elements * sizeof(*m->empty));
    for (int64_t i = 0; i < m->view->pixels; i++)
        show(m, i / m->view->layer->width, i % m->view->layer->width, 0, m->empty);
    struct sal_sweep sweep = {.n = m->view->pixels + 1,
                              .context = m,
                              .make = make,
                              .take = take,
                              .preview = preview};
    enum sal_status status = sal_cam_sweep(m->view, &sweep, map, err);
    if (!status)
        explain(m, sweep.done - 1, map);
    return status;
}

static enum sal_status draw(const struct sal_cam_view *view, double *grid,
                            struct sal_map *map, struct sal_error *err)
{
    const struct sal_question *question = view->question;
    struct sal_shape shape = sal_model_value(question->model, question->layer).shape;
    struct mosaic m = {.view = view,
                       .gaussian = sal_params_get(question->params, params, "mask") == GAUSSIAN,
                       .elements = sal_shape_count(&shape),
                       .grid = grid};
    m.empty = calloc((size_t)m.elements, sizeof(*m.empty));
    enum sal_status status = m.empty ? sweep_over(&m, map, err)
                                     : sal_fail(err, SAL_LIMIT, "no memory for the map");
    free(m.empty);
    return status;
}

static const struct sal_cam cam = {.params = params,
                                   .blank = "no position of this layer raises the score on "
                                            "its own",
                                   .draw = draw};

static enum sal_status reciprocam(const struct sal_question *question, struct sal_map *map,
                                  struct sal_error *err)
{
    return sal_cam_explain(&cam, question, map, err);
}

const struct sal_method sal_method_reciprocam = {
    .name = "reciprocam",
    .title = "ReciproCAM",
    .formula = "ReLU(score(A at position p alone) - score(A = 0)), bilinear to the input",
    .paper = "Byun and Lee, CVPR Workshops 2024, arXiv:2209.14074",
    .semantics = "OpenVINO XAI's single positions, less the score with all of them off, "
                 "so that 0 means no evidence; scaled to 0..1, as there, the map is the "
                 "same",
    .needs = SAL_NEEDS_LAYER,
    .params = params,
    .run = reciprocam,
};
