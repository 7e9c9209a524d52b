#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "saliscope/text.h"

enum { TOP_DEFAULT = 5, SHOW_ALL = 20 }; /* classes: up to SHOW_ALL all are shown */

/* A class on its way to its place in the list. */
struct rank {
    int index;
    double key;
};

static int by_key(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return x->index - y->index;
}

/* Classes by falling logit (which for softmax and sigmoid is falling probability). */
static struct rank *ranked(const struct sal_scores *scores)
{
    struct rank *ranks = calloc((size_t)scores->n, sizeof(*ranks));
    for (int i = 0; ranks && i < scores->n; i++)
        ranks[i] = (struct rank){i, (double)scores->logits[i]};
    if (ranks)
        qsort(ranks, (size_t)scores->n, sizeof(*ranks), by_key);
    return ranks;
}

static void add_row(struct cli_table *table, const struct sal_model *model,
                    const struct sal_scores *scores, int index)
{
    double probability = scores->probabilities[index];
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    double threshold = index < sidecar->n_classes
                           ? sidecar->classes[index].threshold
                           : (double)NAN;
    bool flagged = sal_model_flagged(model, index, probability);
    cli_table_add(table, "%d", index);
    cli_table_add(table, "%s", sal_model_class(model, index));
    char share[32];
    cli_table_add(table, "%s", sal_probability_text(probability, share, sizeof(share)));
    cli_table_add(table, "%.4f", (double)scores->logits[index]);
    if (flagged && !isnan(threshold))
        cli_table_add(table, "flagged: at or above %g %%", threshold * 100);
    else if (flagged)
        cli_table_add(table, "%s", "flagged");
    else
        cli_table_add(table, "%s", "");
}

static void show(struct cli *cli, const struct sal_snapshot *snapshot)
{
    const struct sal_model *model = sal_session_model(cli->session);
    const struct sal_image *image = snapshot->image;
    const struct sal_scores *scores = &snapshot->scores;
    char name[1024];
    printf("%s%s%s: %s, %d x %d, %d bit, %.0f ms\n", cli_bold(cli),
           sal_text_clean(name, sizeof(name), snapshot->image_path), cli_plain(cli),
           image->format, image->width, image->height, image->bits,
           scores->seconds * 1e3);
    struct rank *ranks = ranked(scores);
    if (!ranks)
        return;
    int most = scores->n <= SHOW_ALL ? scores->n : TOP_DEFAULT;
    most = (int)option_number(&cli->options, OPT_TOP, most);
    struct cli_table table = {.align = "rlrrl"};
    static const char *const heads[] = {"class", "name", "probability", "logit", ""};
    for (int i = 0; i < 5; i++)
        cli_table_add(&table, "%s", heads[i]);
    for (int i = 0; i < most && i < scores->n; i++)
        add_row(&table, model, scores, ranks[i].index);
    cli_table_print(&table, stdout, "  ");
    if (most < scores->n)
        printf("  (%d more; --top N shows more)\n", scores->n - most);
    free(ranks);
}

int cmd_classify(struct cli *cli)
{
    const char *model = option_text(&cli->options, OPT_MODEL, NULL);
    if (!model || !cli->options.n_operands)
        return cli_usage("classify needs a model and an image: saliscope classify -m "
                         "MODEL.onnx IMAGE");
    cli_catch_signals(model);
    struct sal_error err = {0};
    if (cli_open_session(cli, model, &err))
        return cli_fail(&err);
    return cli_run_cases(cli, NULL, 1, show);
}
