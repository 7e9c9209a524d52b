/* All corruptions together: which of them undo the decision, and how soon. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "corruption_scan.h"

enum { EARLY = 2 }; /* the severities that a user of pictures would hardly remark */

static int count(void)
{
    int n = 0;
    while (sal_corruption_list[n])
        n++;
    return n;
}

/* "gamma darker 2", "shot-noise 3 (1 of 2)" */
static void say_one(const struct sal_corruption_path *path, int severity, char *dst,
                    size_t capacity)
{
    char draws[32];
    snprintf(dst, capacity, "%s%s%s %d%s", path->kind->probe.name, *path->way->name ? " " : "",
             path->way->name, severity, sal_corruption_draws_text(path, draws, sizeof(draws)));
}

/* Those that flip, the soonest first; as many as there is room for. */
static void say_flips(const struct sal_corruption_scan *scan, char *dst, size_t capacity)
{
    int left = 0;
    *dst = '\0';
    for (int severity = 1; severity <= SAL_SEVERITIES; severity++)
        for (int i = 0; sal_corruption_list[i]; i++) {
            const struct sal_corruption_path *path;
            char one[80];
            size_t used = strlen(dst);
            if (sal_corruption_flips_at(scan, sal_corruption_list[i], &path) != severity)
                continue;
            say_one(path, severity, one, sizeof(one));
            if (left || used + strlen(one) + 20 > capacity)
                left++;
            else
                snprintf(dst + used, capacity - used, "%s%s", used ? ", " : "", one);
        }
    size_t used = strlen(dst);
    if (left)
        snprintf(dst + used, capacity - used, ", %d more", left);
}

static void sum_up(const struct sal_corruption_scan *scan)
{
    struct sal_search *s = scan->search;
    struct sal_probe_answer *a = s->answer;
    int n = count(), flip = 0, early = 0;
    char text[190];
    for (int i = 0; i < n; i++) {
        int severity = sal_corruption_flips_at(scan, sal_corruption_list[i], NULL);
        flip += severity > 0;
        early += severity > 0 && severity <= EARLY;
    }
    sal_search_fact(s, "corruptions", "corruptions tried", n, "");
    sal_search_fact(s, "hold", "hold wherever they were tried", n - flip, "");
    sal_search_fact(s, "flip_by_2", "flip at severity 1 or 2", early, "");
    say_flips(scan, text, sizeof(text));
    if (flip)
        snprintf(a->note, sizeof(a->note), "flips first at: %s; %d of %d hold where tried", text,
                 n - flip, n);
    else
        snprintf(a->note, sizeof(a->note),
                 "all %d hold where tried; that shows nothing of what lies between or beyond", n);
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    struct sal_corruption_scan scan;
    enum sal_status status = sal_corruption_scan(&scan, s, sal_corruption_list, count(), err);
    if (!status || status == SAL_CANCELLED) {
        enum sal_status put = sal_corruption_put_trials(&scan, err);
        status = put ? put : status;
    }
    if (!status)
        sum_up(&scan);
    sal_corruption_scan_release(&scan);
    return status;
}

static const struct sal_param params[] = {SAL_PARAM_SEVERITY, SAL_PARAM_TABLE, SAL_PARAM_DRAWN,
                                          SAL_PARAM_DRAWS, {0}};

const struct sal_probe sal_probe_corruptions = {
    .name = "corruptions",
    .title = "All corruptions",
    .formula = "each of those below, every way, at every severity",
    .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C (Hendrycks, "
             "Dietterich, ICLR 2019, arXiv:1903.12261)",
    .needs = SAL_PROBE_DRAWS,
    .params = params,
    .run = run,
};
