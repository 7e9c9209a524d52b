/* All severities, in their order, of every way of every corruption; then, where one flipped,
 * the setting between it and the one before, all ways side by side. */
#include "corruption_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an effort allows: draws at a severity, bisections. All corruptions together take about
 * 150, 1000 and 6000 passes. */
static const struct {
    int draws, refinements;
} efforts[] = {{2, 3}, {40, 8}, {280, 12}};

enum { PICTURE = 224 }; /* pixels of the tables' pictures */

/* ---- planning -------------------------------------------------------------------- */

static double setting_of(const struct sal_search *s, const struct sal_corruption *kind,
                         const struct sal_corruption_way *way, int severity)
{
    const struct sal_model_input *input = s->space.input;
    const double *settings = sal_corruption_settings(way, (int)sal_search_param(s, "table"));
    double shorter = input->height < input->width ? input->height : input->width;
    return settings[severity - 1] * (kind->lengths ? shorter / PICTURE : 1);
}

/* Whether that setting lies on this way from the neutral one. */
static bool is_along(const struct sal_corruption *kind, const struct sal_corruption_way *way,
                     double setting)
{
    return (setting > kind->neutral) == (way->settings[0][0] > kind->neutral);
}

/* One path; false where nothing is to be tried along it. */
static bool plan_path(struct sal_corruption_scan *scan, const struct sal_corruption *kind,
                      const struct sal_corruption_way *way, struct sal_corruption_path *path)
{
    const struct sal_search *s = scan->search;
    int severity = (int)sal_search_param_or(s, "severity", 0);
    double setting = sal_search_param_or(s, "setting", kind->neutral);
    *path = (struct sal_corruption_path){
        .kind = kind,
        .way = way,
        .n = severity ? 1 : SAL_SEVERITIES,
        .first = severity ? severity : 1,
        .draws = kind->probe.needs & SAL_PROBE_DRAWS ? scan->draws : 1,
        .flipped = -1};
    if (setting != kind->neutral) {
        path->n = 1;
        path->first = 0;
        path->settings[0] = kind->whole ? round(setting) : setting;
        return is_along(kind, way, setting);
    }
    for (int k = 0; k < path->n; k++)
        path->settings[k] = setting_of(s, kind, way, path->first + k);
    return true;
}

static struct sal_attempt attempt_of(const struct sal_search *s,
                                     const struct sal_corruption_path *path, double setting,
                                     int draw)
{
    return (struct sal_attempt){
        .kind = path->kind,
        .how = {.setting = setting,
                .axis = path->way->axis,
                .key = sal_stream_key(s, SAL_STREAM_CORRUPTION, (uint64_t)draw)}};
}

struct sal_attempt *sal_corruption_attempt(const struct sal_corruption_path *path, int setting,
                                           int draw)
{
    return draw ? path->again + (int64_t)(draw - 1) * path->stride + setting
                : path->once + setting;
}

static enum sal_status plan_attempts(struct sal_corruption_scan *scan, struct sal_error *err)
{
    int once = 0, again = 0;
    for (int i = 0; i < scan->n_paths; i++) {
        once += scan->paths[i].n;
        again += scan->paths[i].draws > 1 ? scan->paths[i].n : 0;
    }
    scan->n_attempts = once + again * (scan->draws - 1);
    scan->attempts = calloc((size_t)scan->n_attempts + 1, sizeof(*scan->attempts));
    if (!scan->attempts)
        return sal_fail(err, SAL_LIMIT, "no memory for %d pictures", scan->n_attempts);
    struct sal_attempt *first = scan->attempts, *others = scan->attempts + once;
    for (int i = 0; i < scan->n_paths; i++) {
        struct sal_corruption_path *path = &scan->paths[i];
        path->once = first;
        path->again = others;
        path->stride = again;
        first += path->n;
        others += path->draws > 1 ? path->n : 0;
        for (int k = 0; k < path->n * path->draws; k++)
            *sal_corruption_attempt(path, k % path->n, k / path->n) = attempt_of(
                scan->search, path, path->settings[k % path->n], k / path->n);
    }
    return SAL_OK;
}

static enum sal_status plan(struct sal_corruption_scan *scan,
                            const struct sal_corruption *const *kinds, int n,
                            struct sal_error *err)
{
    const struct sal_search *s = scan->search;
    int effort = (int)sal_search_param(s, "effort");
    scan->draws = (int)sal_search_param_or(s, "draws", 0);
    scan->draws = scan->draws ? scan->draws : efforts[effort].draws;
    scan->refinements = efforts[effort].refinements;
    scan->paths = calloc((size_t)n * SAL_WAYS_MAX + 1, sizeof(*scan->paths));
    if (!scan->paths)
        return sal_fail(err, SAL_LIMIT, "no memory for a scan");
    for (int i = 0; i < n; i++)
        for (int k = 0; k < kinds[i]->n_ways; k++)
            scan->n_paths += plan_path(scan, kinds[i], &kinds[i]->ways[k],
                                       &scan->paths[scan->n_paths]);
    return plan_attempts(scan, err);
}

/* ---- what was seen --------------------------------------------------------------- */

/* How many of the draws at a setting flip, and the first that does (else 0). */
static int flips_of(const struct sal_corruption_path *path, int setting, int *first)
{
    int flips = 0;
    *first = 0;
    for (int draw = path->draws - 1; draw >= 0; draw--)
        if (sal_corruption_attempt(path, setting, draw)->reached) {
            flips++;
            *first = draw;
        }
    return flips;
}

static void find_flips(struct sal_corruption_scan *scan)
{
    for (int i = 0; i < scan->n_paths; i++) {
        struct sal_corruption_path *path = &scan->paths[i];
        int draw;
        for (int k = path->n - 1; k >= 0; k--)
            if (flips_of(path, k, &draw)) {
                path->flipped = k;
                path->nearest = *sal_corruption_attempt(path, k, draw);
            }
    }
}

/* ---- the least setting ----------------------------------------------------------- */

struct bisection {
    struct sal_corruption_path *path;
    double holds;
    int asked; /* which of the attempts is its middle; -1: there is none */
};

/* All at once, each halving its own stretch. */
static enum sal_status halve(struct sal_corruption_scan *scan, struct bisection *list, int n,
                             struct sal_attempt *attempts, struct sal_error *err)
{
    int asked = 0, done;
    for (int i = 0; i < n; i++) {
        const struct sal_attempt *nearest = &list[i].path->nearest;
        double middle = (list[i].holds + nearest->how.setting) / 2;
        if (nearest->kind->whole)
            middle = trunc(middle);
        bool between = middle != list[i].holds && middle != nearest->how.setting;
        list[i].asked = between ? asked : -1;
        attempts[asked] = *nearest;
        attempts[asked].how.setting = middle;
        asked += between;
    }
    enum sal_status status = sal_attempts_look(scan->search, attempts, asked, &done, err);
    for (int i = 0; i < n; i++) {
        const struct sal_attempt *one = &attempts[list[i].asked < 0 ? 0 : list[i].asked];
        if (list[i].asked < 0 || list[i].asked >= done)
            continue;
        if (one->reached)
            list[i].path->nearest = *one;
        else
            list[i].holds = one->how.setting;
    }
    return status;
}

static enum sal_status refine(struct sal_corruption_scan *scan, struct sal_error *err)
{
    int n = 0;
    enum sal_status status = SAL_OK;
    struct bisection *list = calloc((size_t)scan->n_paths + 1, sizeof(*list));
    struct sal_attempt *attempts = calloc((size_t)scan->n_paths + 1, sizeof(*attempts));
    for (int i = 0; list && i < scan->n_paths; i++) {
        struct sal_corruption_path *path = &scan->paths[i];
        if (path->flipped >= 0 && path->n == SAL_SEVERITIES)
            list[n++] = (struct bisection){
                .path = path,
                .holds = path->flipped ? path->settings[path->flipped - 1] : path->kind->gentle};
    }
    if (!list || !attempts)
        status = sal_fail(err, SAL_LIMIT, "no memory for a scan");
    for (int i = 0; i < scan->refinements && n && !status; i++)
        status = halve(scan, list, n, attempts, err);
    scan->refined = n && !status;
    free(list);
    free(attempts);
    return status;
}

enum sal_status sal_corruption_scan(struct sal_corruption_scan *scan, struct sal_search *s,
                                    const struct sal_corruption *const *kinds, int n,
                                    struct sal_error *err)
{
    int seen = 0;
    *scan = (struct sal_corruption_scan){.search = s};
    sal_search_aim(s, (struct sal_ball){SAL_L2, INFINITY});
    enum sal_status status = plan(scan, kinds, n, err);
    if (status)
        return status;
    sal_search_expect(s, scan->n_attempts + (long)scan->n_paths * scan->refinements / 2);
    status = sal_attempts_look(s, scan->attempts, scan->n_attempts, &seen, err);
    find_flips(scan);
    return status ? status : refine(scan, err);
}

void sal_corruption_scan_release(struct sal_corruption_scan *scan)
{
    free(scan->paths);
    free(scan->attempts);
}

/* ---- for people ------------------------------------------------------------------ */

const char *sal_corruption_unit(const struct sal_corruption *kind)
{
    const struct sal_param *param = kind->probe.params;
    while (strcmp(param->name, "setting") != 0)
        param++;
    return param->unit;
}

/* "gamma darker 1.4, severity 4" */
static struct sal_trial trial_of(const struct sal_corruption_path *path, double setting,
                                 int severity)
{
    struct sal_trial trial = {.name = path->kind->probe.name,
                              .way = path->way->name,
                              .severity = severity,
                              .setting = setting,
                              .unit = sal_corruption_unit(path->kind)};
    char tail[32] = "";
    if (severity)
        snprintf(tail, sizeof(tail), ", severity %d", severity);
    snprintf(trial.title, sizeof(trial.title), "%s%s%s %.4g%s", trial.name,
             *path->way->name ? " " : "", path->way->name, setting, tail);
    return trial;
}

static enum sal_status put_setting(const struct sal_corruption_scan *scan,
                                   const struct sal_corruption_path *path, int k,
                                   struct sal_error *err)
{
    struct sal_trial trial =
        trial_of(path, path->settings[k], path->first ? path->first + k : 0);
    for (int draw = 0; draw < path->draws; draw++) {
        const struct sal_attempt *attempt = sal_corruption_attempt(path, k, draw);
        if (!attempt->seen)
            break;
        trial.draws++;
        trial.score += attempt->score;
        trial.f += attempt->f;
        trial.flips += attempt->reached;
        trial.distance = attempt->distance;
    }
    if (!trial.draws)
        return SAL_OK;
    trial.score /= trial.draws;
    trial.f /= trial.draws;
    return sal_search_trial(scan->search, &trial, err);
}

/* The least setting that flips, where it was searched. */
static enum sal_status put_nearest(const struct sal_corruption_scan *scan,
                                   const struct sal_corruption_path *path,
                                   struct sal_error *err)
{
    const struct sal_attempt *nearest = &path->nearest;
    if (!scan->refined || path->flipped < 0 ||
        nearest->how.setting == path->settings[path->flipped])
        return SAL_OK;
    struct sal_trial trial = trial_of(path, nearest->how.setting, 0);
    size_t used = strlen(trial.title);
    snprintf(trial.title + used, sizeof(trial.title) - used, ", least found");
    trial.score = nearest->score;
    trial.f = nearest->f;
    trial.draws = trial.flips = 1;
    trial.distance = nearest->distance;
    return sal_search_trial(scan->search, &trial, err);
}

enum sal_status sal_corruption_put_trials(const struct sal_corruption_scan *scan,
                                          struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    for (int i = 0; i < scan->n_paths; i++) {
        const struct sal_corruption_path *path = &scan->paths[i];
        for (int k = 0; k < path->n && !status; k++)
            status = put_setting(scan, path, k, err);
        if (!status)
            status = put_nearest(scan, path, err);
    }
    return status;
}

int sal_corruption_flips_at(const struct sal_corruption_scan *scan,
                            const struct sal_corruption *kind,
                            const struct sal_corruption_path **which)
{
    int least = 0;
    for (int i = 0; i < scan->n_paths; i++) {
        const struct sal_corruption_path *path = &scan->paths[i];
        int severity = path->flipped < 0 ? 0 : path->first + path->flipped;
        if (path->kind != kind || !severity || (least && severity >= least))
            continue;
        least = severity;
        if (which)
            *which = path;
    }
    return least;
}

const char *sal_corruption_draws_text(const struct sal_corruption_path *path, char *dst,
                                      size_t capacity)
{
    int first;
    *dst = '\0';
    if (path->draws > 1 && path->flipped >= 0)
        snprintf(dst, capacity, " (%d of %d)", flips_of(path, path->flipped, &first),
                 path->draws);
    return dst;
}
