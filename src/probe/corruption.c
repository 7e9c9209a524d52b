/* One corruption: its severities or one setting, each way, and the score along them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "corruption_scan.h"

/* ---- the score over the setting -------------------------------------------------- */

struct point {
    double setting, score;
};

static int ascending(const void *a, const void *b)
{
    double x = ((const struct point *)a)->setting, y = ((const struct point *)b)->setting;
    return (x > y) - (x < y);
}

/* All that was seen along one axis, from end to end through the picture as given. */
static int gather(const struct sal_corruption_scan *scan, int axis, struct point *points)
{
    int n = 0;
    for (int i = 0; i < scan->n_paths; i++) {
        const struct sal_corruption_path *path = &scan->paths[i];
        if (path->way->axis != axis)
            continue;
        for (int k = 0; k < path->n; k++) {
            points[n].setting = path->settings[k];
            points[n].score = 0;
            for (int draw = 0; draw < path->draws; draw++)
                points[n].score += sal_corruption_attempt(path, k, draw)->score / path->draws;
            n++;
        }
    }
    if (n)
        points[n++] = (struct point){scan->paths->kind->gentle,
                                     sal_search_score(scan->search, scan->search->answer->before)};
    qsort(points, (size_t)n, sizeof(*points), ascending);
    return n;
}

static enum sal_status put_series(const struct sal_corruption_scan *scan, struct sal_error *err)
{
    static const struct {
        const char *name, *title;
    } axes[] = {{"setting", "score over the setting"},
                {"setting_second", "score over the setting, the other ways"}};
    enum sal_status status = SAL_OK;
    for (int axis = 0; axis < 2 && !status; axis++) {
        struct point points[SAL_WAYS_MAX * SAL_SEVERITIES + 1];
        double x[SAL_WAYS_MAX * SAL_SEVERITIES + 1], y[SAL_WAYS_MAX * SAL_SEVERITIES + 1];
        int n = gather(scan, axis, points);
        for (int i = 0; i < n; i++) {
            x[i] = points[i].setting;
            y[i] = points[i].score;
        }
        if (n)
            status = sal_search_series(scan->search, axes[axis].name, axes[axis].title, n, x, y,
                                       err);
    }
    return status;
}

/* ---- in words -------------------------------------------------------------------- */

static const struct sal_corruption_path *first_to_flip(const struct sal_corruption_scan *scan)
{
    const struct sal_corruption_path *first = NULL;
    for (int i = 0; i < scan->n_paths; i++)
        if (scan->paths[i].flipped >= 0 && (!first || scan->paths[i].flipped < first->flipped))
            first = &scan->paths[i];
    return first;
}

/* Where all severities were asked for. */
static void put_facts(const struct sal_corruption_scan *scan,
                      const struct sal_corruption_path *first)
{
    double nothing = (double)NAN;
    if (!scan->n_paths || scan->paths->n < SAL_SEVERITIES)
        return;
    sal_search_fact(scan->search, "flips_at_severity", "flips at severity",
                    first ? first->first + first->flipped : nothing, "");
    sal_search_fact(scan->search, "least_setting", "least setting that flips",
                    first ? first->nearest.how.setting : nothing,
                    sal_corruption_unit(scan->paths->kind));
}

static void put_note(const struct sal_corruption_scan *scan,
                     const struct sal_corruption_path *first)
{
    struct sal_probe_answer *a = scan->search->answer;
    int severity = scan->n_paths ? scan->paths->first : 0;
    char draws[32];
    bool all = scan->n_paths && scan->paths->n == SAL_SEVERITIES;
    if (!first && all)
        snprintf(a->note, sizeof(a->note),
                 "holds at every severity that was tried; that shows nothing of what lies "
                 "between or beyond them");
    else if (!first)
        snprintf(a->note, sizeof(a->note), "holds at %s; that shows nothing of others",
                 severity ? "this severity" : "this setting");
    else if (severity)
        snprintf(a->note, sizeof(a->note), "flips %sat severity %d%s%s%s", all ? "first " : "",
                 first->first + first->flipped, *first->way->name ? ", " : "", first->way->name,
                 sal_corruption_draws_text(first, draws, sizeof(draws)));
}

enum sal_status sal_corruption_run(struct sal_search *s, struct sal_error *err)
{
    const struct sal_corruption *kind = (const struct sal_corruption *)s->probe;
    struct sal_corruption_scan scan;
    enum sal_status status = sal_corruption_scan(&scan, s, &kind, 1, err);
    if (!status || status == SAL_CANCELLED) {
        enum sal_status put = sal_corruption_put_trials(&scan, err);
        status = put ? put : status;
    }
    if (!status)
        status = put_series(&scan, err);
    if (!status) {
        const struct sal_corruption_path *first = first_to_flip(&scan);
        put_facts(&scan, first);
        put_note(&scan, first);
    }
    sal_corruption_scan_release(&scan);
    return status;
}
