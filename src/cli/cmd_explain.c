#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "saliscope/text.h"

static void line(struct cli_table *table, const char *name)
{
    cli_table_add(table, "%s", name);
}

static void add_score(struct cli_table *table, const struct sal_snapshot *snapshot)
{
    double probability = snapshot->scores.probabilities[snapshot->ask.class_index];
    char share[32];
    sal_probability_text(probability, share, sizeof(share));
    line(table, "score");
    cli_table_add(table, "%.6g%s%s", snapshot->map->score, *share ? ", probability " : "",
                  share);
}

static void add_layer(struct cli_table *table, const struct sal_model *model,
                      const struct sal_map *map)
{
    if (map->layer < 0)
        return;
    struct sal_model_value value = sal_model_value(model, map->layer);
    line(table, "layer");
    cli_table_add(table, "%s (%s), %d x %d", value.name, value.op, map->grid_width,
                  map->grid_height);
}

static void add_map(struct cli_table *table, const struct sal_map *map)
{
    long n = (long)map->width * map->height;
    float low = map->values[0], high = map->values[0];
    for (long i = 1; i < n; i++) {
        low = fminf(low, map->values[i]);
        high = fmaxf(high, map->values[i]);
    }
    line(table, "map");
    cli_table_add(table, "%d x %d, from %.5g to %.5g %s%s", map->width, map->height,
                  (double)low, (double)high, map->unit,
                  map->partial ? ", PARTIAL: stopped early" : "");
}

static void add_outputs(struct cli_table *table, const struct sal_session *session)
{
    const char *const *outputs = sal_session_outputs(session);
    for (int i = 0; outputs[i]; i++) {
        line(table, i ? "" : "written");
        cli_table_add(table, "%s", outputs[i]);
    }
}

static void show(struct cli *cli, const struct sal_snapshot *snapshot)
{
    const struct sal_model *model = sal_session_model(cli->session);
    const struct sal_map *map = snapshot->map;
    const struct sal_session_ask *ask = &snapshot->ask;
    char name[1024], class_name[512];
    printf("%s%s%s: %s of class %d, %s\n", cli_bold(cli),
           sal_text_clean(name, sizeof(name), snapshot->image_path), cli_plain(cli),
           ask->method->title, ask->class_index,
           sal_text_clean(class_name, sizeof(class_name),
                          sal_model_class(model, ask->class_index)));
    struct cli_table table = {.align = "ll"};
    add_score(&table, snapshot);
    add_layer(&table, model, map);
    add_map(&table, map);
    line(&table, "passes");
    cli_table_add(&table, "%ld forward, %ld backward, %.2f s", map->forwards,
                  map->backwards, snapshot->seconds);
    if (map->precision != SAL_F32) {
        line(&table, "precision");
        cli_table_add(&table, "%s", sal_precision_names[map->precision]);
    }
    for (int i = 0; i < map->n_checks; i++) {
        line(&table, map->checks[i].title);
        cli_table_add(&table, "%.5g%s%s", map->checks[i].value,
                      *map->checks[i].unit ? " " : "", map->checks[i].unit);
    }
    if (*map->note) {
        line(&table, "note");
        cli_table_add(&table, "%s", map->note);
    }
    add_outputs(&table, cli->session);
    cli_table_print(&table, stdout, "  ");
}

int cmd_explain(struct cli *cli)
{
    const char *model = option_text(&cli->options, OPT_MODEL, NULL);
    if (!model || !cli->options.n_operands)
        return cli_usage("explain needs a model and an image: saliscope explain -m "
                         "MODEL.onnx IMAGE -o FILE.png");
    cli_catch_signals(model);
    struct sal_error err = {0};
    struct sal_session_ask *asks;
    int n;
    if (cli_open_session(cli, model, &err) || cli_ask_each(cli, &asks, &n, &err))
        return cli_fail(&err);
    int status = cli_run_cases(cli, asks, n, show);
    free(asks);
    return status;
}
