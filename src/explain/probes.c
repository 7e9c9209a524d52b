#include "probes.h"

#include <math.h>
#include <stdio.h>

#include "methods.h"
#include "saliscope/random.h"

enum { PLACE = 1 << 20 }; /* among a key's numbers, of which methods use the first ones */

#define SHARE_MAX 0.01 /* of the map's range, that passes without a word */

static bool chosen(const struct sal_probes *probes, int64_t i)
{
    for (int k = 0; k < probes->n; k++)
        if (probes->at[k] == i)
            return true;
    return false;
}

/* The one with the greatest sign * score that is not there yet; sign 0: any. */
static void choose_one(struct sal_probes *probes, const double *scores, int64_t n,
                       int sign)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (!chosen(probes, i) && (best < 0 || sign * scores[i] > sign * scores[best]))
            best = i;
    if (best < 0)
        return;
    probes->at[probes->n] = best;
    probes->bf16[probes->n++] = scores[best];
}

void sal_probes_choose(struct sal_probes *probes, enum sal_probes_kind kind,
                       const double *scores, int64_t n)
{
    static const int signs[SAL_PROBES] = {0, -1, 1, -1, 1, -1, 0, 0};
    int most = kind == SAL_PROBES_MANY ? SAL_PROBES_MOST : SAL_PROBES;
    *probes = (struct sal_probes){0};
    for (int k = 0; k < most; k++)
        choose_one(probes, scores, n, kind == SAL_PROBES_GREATEST ? 1 : signs[k % SAL_PROBES]);
}

static double error_of(const struct sal_probes *probes, int i)
{
    return probes->bf16[i] - probes->f32[i];
}

double sal_probes_worst(const struct sal_probes *probes)
{
    double worst = 0;
    for (int i = 0; i < probes->n; i++)
        worst = fmax(worst, fabs(error_of(probes, i)));
    return worst;
}

double sal_probes_mean(const struct sal_probes *probes)
{
    double sum = 0;
    for (int i = 0; i < probes->n; i++)
        sum += error_of(probes, i);
    return probes->n ? sum / probes->n : 0;
}

double sal_probes_spread(const struct sal_probes *probes)
{
    double least = INFINITY, most = -INFINITY;
    for (int i = 0; i < probes->n; i++) {
        least = fmin(least, error_of(probes, i));
        most = fmax(most, error_of(probes, i));
    }
    return probes->n ? most - least : 0;
}

double sal_probes_draw(const struct sal_probes *probes, uint64_t seed, int64_t i,
                       double score)
{
    const int n = probes->n;
    double mean = 0, spread = 0, product = 0;
    if (!n)
        return 0;
    for (int k = 0; k < n; k++)
        mean += probes->bf16[k] / n;
    for (int k = 0; k < n; k++) {
        spread += (probes->bf16[k] - mean) * (probes->bf16[k] - mean);
        product += (probes->bf16[k] - mean) * error_of(probes, k);
    }
    double slope = spread > 0 ? product / spread : 0, common = sal_probes_mean(probes);
    int one = (int)(sal_random_uniform(sal_random_key(seed, (uint64_t)i), PLACE) * n);
    double left = error_of(probes, one) - common - slope * (probes->bf16[one] - mean);
    return common + slope * (score - mean) + left;
}

double sal_probes_share(const struct sal_map *map, const struct sal_map *other)
{
    double low = INFINITY, high = -INFINITY, most = 0;
    for (int64_t i = 0; i < (int64_t)map->width * map->height; i++) {
        double value = (double)map->values[i];
        low = fmin(low, value);
        high = fmax(high, value);
        most = fmax(most, fabs(value - (double)other->values[i]));
    }
    return most > 0 ? most / (high - low) : 0;
}

void sal_probes_tell(const struct sal_probes *probes, const struct sal_model *model,
                     double share, struct sal_map *map)
{
    map->precision = SAL_BF16;
    sal_map_check(map, "bf16_score_error", "bf16: error of scores",
                  sal_probes_worst(probes), sal_unit_name(model, SAL_UNIT_SCORE));
    sal_map_check(map, "bf16_map_error_percent", "bf16: error of the map", share * 100,
                  "% of its range");
    if (!(share <= SHARE_MAX) && !*map->note)
        snprintf(
            map->note, sizeof(map->note),
            "bf16 changes this map by about %.2g %% of its range: for finer detail "
            "compute it in f32",
            share * 100);
}

void sal_probes_tell_trim(const struct sal_probes *probes, const struct sal_model *model,
                          double share, struct sal_map *map)
{
    sal_map_check(map, "trim_score_error", "trim: error of scores",
                  sal_probes_worst(probes), sal_unit_name(model, SAL_UNIT_SCORE));
    sal_map_check(map, "trim_map_error_percent", "trim: error of the map", share * 100,
                  "% of its range");
    if (!(share <= SHARE_MAX) && !*map->note)
        snprintf(map->note, sizeof(map->note),
                 "trim changes this map by about %.2g %% of its range: for finer detail "
                 "make it smaller",
                 share * 100);
}
