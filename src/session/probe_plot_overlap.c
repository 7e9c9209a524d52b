/* How the top of the input gradient gives way while the decision is held. */
#include <math.h>
#include <stdio.h>

#include "probe_plot.h"

bool sal_plot_has_overlap(const struct sal_probe_answer *answer)
{
    const struct sal_series *held = sal_probe_series(answer, "overlap_held");
    return held && held->n >= 2;
}

enum sal_status sal_plot_overlap(const struct sal_plotted *plotted, struct sal_probe_plot *plot,
                                 struct sal_error *err)
{
    (void)err;
    const struct sal_probe_answer *a = plotted->answer;
    const struct sal_series *held = sal_probe_series(a, "overlap_held");
    const struct sal_series *each = sal_probe_series(a, "overlap");
    plot->plot.title = "What is left of the map's top";
    plot->plot.x = (struct sal_plot_axis){.title = "steps"};
    plot->plot.y = (struct sal_plot_axis){.title = "share of the top pixels", .range = {0, 1}};
    plot->plot.curve[0] = (struct sal_plot_curve){
        .name = "decision held", .n = held->n, .x = held->x, .y = held->y, .steps = true};
    if (each)
        plot->plot.curve[1] = (struct sal_plot_curve){
            .name = "each step", .n = each->n, .x = each->x, .y = each->y};
    if (a->displaced.draws) {
        snprintf(plot->text[SAL_PLOT_NAMES], sizeof(*plot->text), "under noise %.3g",
                 a->displaced.noise);
        plot->plot.level[0] =
            (struct sal_plot_line){plot->text[SAL_PLOT_NAMES], a->displaced.noise};
    }
    return SAL_OK;
}
