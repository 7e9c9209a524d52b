#include <math.h>

#include "cli.h"

static void line(struct cli_table *table, const char *name)
{
    cli_table_add(table, "%s", name);
}

/* ---- the top of the input gradient --------------------------------------------------------- */

static void add_displaced(struct cli_table *table, const struct sal_probe_answer *a)
{
    const struct sal_displaced *d = &a->displaced;
    if (!d->top)
        return;
    line(table, "top of the map");
    if (isnan(d->overlap))
        cli_table_add(table, "of %lld pixels stays where it is", (long long)d->top);
    else
        cli_table_add(table, "%.3g of its %lld pixels are left, the score moves by %.2g",
                      d->overlap, (long long)d->top, fabs(a->score_after - a->score_before));
    if (!isnan(d->stored)) {
        line(table, "in the image's levels");
        cli_table_add(table, "%.3g are left; decision and score %s", d->stored,
                      d->stored_holds ? "hold" : "do not hold");
    }
    if (!d->draws)
        return;
    line(table, "with noise");
    cli_table_add(table, "of that eps %.3g (%.3g to %.3g); decision and score hold in %d of %d",
                  d->noise, d->noise_low, d->noise_high, d->held, d->draws);
}

/* ---- maps of a method ------------------------------------------------------------------------ */

/* "top overlap 0.31, Spearman 0.62, ... shift of the centre 3.1 pixels" */
static void add_agreement(struct cli_table *table, const char *name,
                          const struct sal_map_agreement *one, const char *tail)
{
    char text[320];
    size_t used = 0;
    for (const struct sal_measure *m = sal_measures; m->name && used < sizeof(text); m++) {
        double value = sal_measure_of(one, m);
        if (!isnan(value))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %.3g%s%s",
                                     used ? ", " : "", m->title, value, *m->unit ? " " : "",
                                     m->unit);
    }
    line(table, name);
    if (isnan(one->overlap))
        cli_table_add(table, "one of the maps is the same everywhere: nothing to compare%s", tail);
    else
        cli_table_add(table, "%s%s", text, tail);
}

static void add_stability(struct cli_table *table, const struct sal_snapshot *snapshot)
{
    const struct sal_stability *maps = snapshot->stability;
    char tail[80];
    line(table, "explanation");
    cli_table_add(table, "%s: the decision %s, the score moves by %.2g%s",
                  snapshot->probe_ask.beside->title, maps->decision_held ? "holds" : "changes",
                  maps->score_change,
                  maps->partial ? "; PARTIAL: stopped early"
                  : maps->altered ? ""
                                  : "; nothing was altered, so nothing is compared");
    if (maps->after.values)
        add_agreement(table, "map after", &maps->agreement, "");
    if (maps->noise.n) {
        snprintf(tail, sizeof(tail), "; %s %.3g, %d draws",
                 sal_norm_names[maps->noise.norm], maps->noise.eps, maps->noise.n);
        add_agreement(table, "map under noise", &maps->noise.mean, tail);
    }
    if (maps->sensitivity_draws) {
        line(table, "sensitivity");
        cli_table_add(table, "at most %.3g of the map's length, over %d draws",
                      maps->sensitivity_max, maps->sensitivity_draws);
    }
    line(table, "passes for maps");
    cli_table_add(table, "%ld forward, %ld backward", maps->forwards, maps->backwards);
}

void cli_add_explained(struct cli_table *table, const struct sal_snapshot *snapshot)
{
    add_displaced(table, snapshot->answer);
    if (snapshot->stability)
        add_stability(table, snapshot);
}
