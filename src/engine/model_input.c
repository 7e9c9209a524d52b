/* What whoever makes inputs of a model must know of them. */
#include <string.h>

#include "saliscope/model.h"

int64_t sal_input_elements(const struct sal_model *model)
{
    const struct sal_model_input *input = sal_model_input(model);
    return (int64_t)input->channels * input->height * input->width;
}

double sal_input_range(const sal_real *x, int64_t n)
{
    sal_real low = x[0], high = x[0];
    for (int64_t i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return (double)high - (double)low;
}

int64_t sal_input_place(const struct sal_model_input *input, int c, int64_t i)
{
    int64_t pixels = (int64_t)input->height * input->width;
    return input->layout == SAL_LAYOUT_NHWC ? i * input->channels + c : c * pixels + i;
}

bool sal_model_shares_scales(const struct sal_model *model)
{
    const struct sal_onnx_graph *graph = &sal_model_onnx(model)->graph;
    for (int i = 0; i < graph->n_nodes; i++)
        if (strcmp(graph->nodes[i].op, "DynamicQuantizeLinear") == 0)
            return true;
    return false;
}
