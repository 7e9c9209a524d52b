#include "completeness.h"

#include <math.h>
#include <stdio.h>

#include "methods.h"

static const double notable_error = 0.05; /* of the difference in score */

double sal_completeness_error(const struct sal_completeness *sum)
{
    double difference = sum->score - sum->base, error = fabs(sum->total - difference);
    return error > 0 ? error / fabs(difference) : 0;
}

void sal_completeness_tell(const struct sal_completeness *sum, const char *begin,
                           struct sal_map *map)
{
    double difference = sum->score - sum->base, error = sum->total - difference;
    sal_map_check(map, "baseline_score", begin, sum->base, map->unit);
    sal_map_check(map, "sum", "sum of the map", sum->total, map->unit);
    sal_map_check(map, "completeness_error", "completeness error", error, map->unit);
    if (fabs(difference) > 0)
        sal_map_check(map, "completeness_error_percent", "of the score's change",
                      100 * error / difference, "%");
}

void sal_completeness_note(const struct sal_completeness *sum, const char *remedy,
                           struct sal_map *map)
{
    if (sal_completeness_error(sum) <= notable_error)
        return;
    snprintf(map->note, sizeof(map->note),
             "the map adds up to %.4g where the score changed by %.4g: %s", sum->total,
             sum->score - sum->base, remedy);
}
