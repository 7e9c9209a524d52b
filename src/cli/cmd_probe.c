#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "saliscope/text.h"

static void line(struct cli_table *table, const char *name)
{
    cli_table_add(table, "%s", name);
}

/* A terminal of so many columns gets a picture of what elsewhere is numbers. */
static bool shows_plots(void)
{
    return cli_columns() >= 50;
}

/* ---- scores -------------------------------------------------------------------------------- */

static void add_side(struct cli_table *table, const char *name, const struct sal_model *model,
                     int c, const sal_real *logits, int n, double f)
{
    double *probabilities = calloc((size_t)n, sizeof(*probabilities));
    char share[32] = "", top[300] = "";
    if (!probabilities)
        return;
    sal_model_probabilities(model, logits, probabilities);
    sal_probability_text(probabilities[c], share, sizeof(share));
    if (sal_model_output(model)->activation != SAL_SIGMOID && n > 1)
        snprintf(top, sizeof(top), "; highest: %s",
                 sal_model_class(model, sal_model_top_class(model, logits)));
    free(probabilities);
    line(table, name);
    cli_table_add(table, "f %.4g (logit %.6g%s%s)%s", f, (double)logits[c],
                  *share ? ", probability " : "", share, top);
}

/* Other labels that changed sides. */
static void add_others(struct cli_table *table, const struct sal_model *model, int c,
                       const struct sal_probe_answer *a)
{
    double *p = calloc((size_t)a->n_logits * 2, sizeof(*p)), *q = p ? p + a->n_logits : NULL;
    if (!p)
        return;
    sal_model_probabilities(model, a->before, p);
    sal_model_probabilities(model, a->after, q);
    bool labels = sal_model_output(model)->activation == SAL_SIGMOID;
    for (int i = 0; labels && i < a->n_logits; i++) {
        bool was = sal_model_flagged(model, i, p[i]), is = sal_model_flagged(model, i, q[i]);
        if (i == c || was == is)
            continue;
        line(table, "also changed");
        cli_table_add(table, "%s is %s", sal_model_class(model, i),
                      is ? "called" : "no longer called");
    }
    free(p);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static void add_distance(struct cli_table *table, const struct sal_probe_answer *a,
                         unsigned white)
{
    line(table, "change");
    cli_table_add(table, "linf %.4g (%.3g of %u levels), l2 %.4g, %lld of %lld pixels",
                  a->distance.linf, a->distance.linf * white, white, a->distance.l2,
                  (long long)a->distance.changed, (long long)a->height * a->width);
}

static void add_saved(struct cli_table *table, const char *name, const struct sal_saved *saved)
{
    if (!saved->white)
        return;
    line(table, name);
    if (saved->survives)
        cli_table_add(table, "the flip survives rounding (f %.4g)", saved->f);
    else if (saved->flipped)
        cli_table_add(table, "rounding undoes the flip; %.5g times the change survives (linf "
                             "%.4g)", saved->scale, saved->distance.linf);
    else
        cli_table_add(table, "rounding undoes the flip, even of %.3g times the change",
                      saved->scale);
}

static void add_search(struct cli_table *table, const struct sal_probe_answer *a,
                       unsigned white)
{
    char text[80], tight[64];
    if (!isnan(a->eps)) {
        line(table, "allowed");
        cli_table_add(table, "%s", sal_probe_length(a, a->eps, white, text, sizeof(text)));
    }
    if (a->found)
        add_distance(table, a, white);
    if (!isnan(a->bracket[1]) && isfinite(a->bracket[1])) {
        line(table, "flips at");
        cli_table_add(table, "%s; %s",
                      sal_probe_length(a, a->bracket[1], white, text, sizeof(text)),
                      sal_probe_tightness(a, tight, sizeof(tight)));
    }
    if (!isnan(a->estimate)) {
        line(table, "first order");
        if (isfinite(a->estimate))
            cli_table_add(table, "%s", sal_probe_length(a, a->estimate, white, text, sizeof(text)));
        else
            cli_table_add(table, "the gradient leads to no flip within the image's range");
    }
    add_saved(table, "in the image's levels", &a->stored);
    add_saved(table, "in 16 bits", &a->deep);
}

static void add_noise(struct cli_table *table, const struct sal_probe_answer *a,
                      unsigned white)
{
    const struct sal_control *noise = &a->noise;
    char text[80];
    if (!noise->n)
        return;
    line(table, "noise");
    cli_table_add(table, "of %s: %d of %d flip (at 95 %% fewer than %.2g %%)",
                  sal_probe_length(a, noise->eps, white, text, sizeof(text)), noise->flips,
                  noise->n, noise->upper * 100);
}

static void add_curve(struct cli_table *table, const struct sal_probe_answer *a, unsigned white)
{
    const struct sal_series *attack = sal_probe_series(a, "attack");
    const struct sal_series *noise = sal_probe_series(a, "noise");
    for (int i = 0; attack && i < attack->n && !shows_plots(); i++) {
        line(table, i ? "" : "score by eps");
        if (noise)
            cli_table_add(table, "%-8.3g (%6.3g levels)  %.4g, with noise %.4g", attack->x[i],
                          attack->x[i] * white, attack->y[i], noise->y[i]);
        else
            cli_table_add(table, "%-8.3g (%6.3g levels)  %.4g", attack->x[i],
                          attack->x[i] * white, attack->y[i]);
    }
}

static void add_facts(struct cli_table *table, const struct sal_probe_answer *a)
{
    for (int i = 0; i < a->n_facts; i++) {
        const struct sal_fact *fact = &a->facts[i];
        line(table, fact->title);
        if (isnan(fact->value))
            cli_table_add(table, "none");
        else
            cli_table_add(table, "%.4g%s%s", fact->value, *fact->unit ? " " : "", fact->unit);
    }
}

/* Trials i.. of one kind and way, by severity, in one row; which is the next after them. */
static int add_row(struct cli_table *table, const struct sal_probe_answer *a, int i)
{
    const struct sal_trial *first = &a->trials[i];
    char text[128];
    char title[64];
    snprintf(title, sizeof(title), "%s %s", first->name, first->way ? first->way : "");
    size_t used = (size_t)snprintf(text, sizeof(text), "%-20.40s", title);
    for (; i < a->n_trials && used < sizeof(text) - 32; i++) {
        const struct sal_trial *trial = &a->trials[i];
        if (trial->name != first->name || trial->way != first->way)
            break;
        if (!trial->severity)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "  from %.3g",
                                     trial->setting);
        else
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%8.3g%c", trial->f,
                                     trial->flips ? '*' : ' ');
    }
    cli_table_add(table, "%s", text);
    return i;
}

/* Where they are many, a row for what is done, and f of each severity. */
static void add_rows(struct cli_table *table, const struct sal_probe_answer *a)
{
    line(table, "f by severity");
    cli_table_add(table, "%-20s%8d %8d %8d %8d %8d", "(* flips, in a draw)", 1, 2, 3, 4, 5);
    for (int i = 0; i < a->n_trials;) {
        line(table, "");
        i = add_row(table, a, i);
    }
}

static void add_trials(struct cli_table *table, const struct sal_probe_answer *a)
{
    enum { MANY = 24 };
    if (a->n_trials > MANY && a->trials[0].severity) {
        add_rows(table, a);
        return;
    }
    for (int i = 0; i < a->n_trials; i++) {
        const struct sal_trial *trial = &a->trials[i];
        line(table, i ? "" : "tried");
        if (trial->draws > 1)
            cli_table_add(table, "%-36s  %.4g (f %.3g), %d of %d flip", trial->title, trial->score,
                          trial->f, trial->flips, trial->draws);
        else
            cli_table_add(table, "%-36s  %.4g (f %.3g)%s", trial->title, trial->score, trial->f,
                          trial->flips ? ", flips" : "");
    }
}

/* ---- plots ---------------------------------------------------------------------------------- */

enum { PLOT_COLUMNS_MAX = 84, PLOT_ROWS = 18 };

/* What cannot be drawn is in the record all the same. */
static void show_plot(const struct cli *cli, const struct sal_snapshot *snapshot)
{
    const struct sal_probe_answer *a = snapshot->answer;
    enum sal_probe_plot_kind kind = sal_probe_plot_next(a, (enum sal_probe_plot_kind)0);
    struct sal_probe_plot made;
    struct sal_cells cells;
    if (kind == SAL_PROBE_PLOTS ||
        sal_probe_plot_of(a, kind, sal_session_model(cli->session),
                          snapshot->probe_ask.class_index, snapshot->image->max, &made, NULL))
        return;
    int columns = cli_columns() - 2;
    enum sal_depth depth = cli->color ? cli_depth() : SAL_MONO;
    columns = columns < PLOT_COLUMNS_MAX ? columns : PLOT_COLUMNS_MAX;
    if (!sal_plot_cells(&made.plot, columns, PLOT_ROWS, depth, cli_unicode(), &cells, NULL)) {
        putchar('\n');
        cli_print_cells(&cells, depth, "  ");
        sal_cells_release(&cells);
    }
    sal_probe_plot_release(&made);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static const char *verdict(const struct sal_probe_answer *a)
{
    if (a->sought == SAL_SEEK_EXPLANATION)
        return a->found ? "the map changes, the decision holds" : "no such change found";
    if (a->already)
        return "is decided so already";
    return a->flipped ? "the decision changes" : "no change found";
}

static void show(struct cli *cli, const struct sal_snapshot *snapshot)
{
    const struct sal_model *model = sal_session_model(cli->session);
    const struct sal_probe_answer *a = snapshot->answer;
    const int c = snapshot->probe_ask.class_index;
    const unsigned white = snapshot->image->max;
    char name[1024], class_name[512];
    printf("%s%s%s: %s, to %s class %d, %s: %s\n", cli_bold(cli),
           sal_text_clean(name, sizeof(name), snapshot->image_path), cli_plain(cli),
           snapshot->probe_ask.probe->title,
           a->sought == SAL_SEEK_FLIP ? sal_goal_names[a->goal] : "hold", c,
           sal_text_clean(class_name, sizeof(class_name), sal_model_class(model, c)),
           verdict(a));
    struct cli_table table = {.align = "ll"};
    add_side(&table, "before", model, c, a->before, a->n_logits, a->f_before);
    if (a->found) {
        add_side(&table, "after", model, c, a->after, a->n_logits, a->f_after);
        add_others(&table, model, c, a);
    } else if (!a->already && a->sought == SAL_SEEK_FLIP) {
        line(&table, "nearest miss");
        cli_table_add(&table, "f %.4g", a->goal == SAL_GOAL_CREATE ? -a->best_margin
                                                                  : a->best_margin);
    }
    add_search(&table, a, white);
    add_noise(&table, a, white);
    cli_add_explained(&table, snapshot);
    add_curve(&table, a, white);
    add_facts(&table, a);
    add_trials(&table, a);
    for (int i = 0; i < a->n_lights; i++) {
        line(&table, a->lights[i].alarm ? "ALARM" : "fine");
        cli_table_add(&table, "%s: %s", a->lights[i].title, a->lights[i].text);
    }
    line(&table, "passes");
    cli_table_add(&table, "%ld forward, %ld backward, %.2f s", a->forwards, a->backwards,
                  snapshot->probe_seconds);
    if (*a->note) {
        line(&table, "note");
        cli_table_add(&table, "%s", a->note);
    }
    const char *const *outputs = sal_session_outputs(cli->session);
    for (int i = 0; outputs[i]; i++) {
        line(&table, i ? "" : "written");
        cli_table_add(&table, "%s", outputs[i]);
    }
    cli_table_print(&table, stdout, "  ");
    if (shows_plots())
        show_plot(cli, snapshot);
}

int cmd_probe(struct cli *cli)
{
    const char *model = option_text(&cli->options, OPT_MODEL, NULL);
    if (!model || !cli->options.n_operands)
        return cli_usage("probe needs a model and an image: saliscope probe -m MODEL.onnx "
                         "IMAGE -A mineps");
    cli_catch_signals(model);
    struct sal_error err = {0};
    struct sal_session_ask ask;
    if (cli_open_session(cli, model, &err) || cli_ask_probe(cli, &ask, &err))
        return cli_fail(&err);
    return cli_run_cases(cli, &ask, 1, show);
}
