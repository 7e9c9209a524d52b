#include "inspect.h"

void inspect_head(struct sal_json *json, const struct cli *cli, const char *model,
                  struct sal_onnx *onnx)
{
    bool redact = option_given(&cli->options, OPT_REDACT_PATHS);
    sal_onnx_hash(onnx);
    sal_json_text(json, "saliscope", SAL_VERSION);
    if (!redact)
        sal_json_text(json, "command", (const char *)cli->program.data);
    sal_json_object(json, "model");
    if (!redact)
        sal_json_text(json, "path", model);
    sal_json_text(json, "sha256", onnx->sha256);
    sal_json_int(json, "opset", onnx->opset);
    sal_json_text(json, "producer", onnx->producer);
    sal_json_text(json, "producer_version", onnx->producer_version);
    sal_json_end(json);
}

static void print_table(const struct sal_missing *missing, int n)
{
    struct cli_table table = {.align = "lrlrl"};
    static const char *const heads[] = {"operator", "nodes", "first", "opset", ""};
    for (int i = 0; i < 5; i++)
        cli_table_add(&table, "%s", heads[i]);
    for (int i = 0; i < n; i++) {
        const struct sal_missing *m = &missing[i];
        cli_table_add(&table, "%s%s%s", m->domain, *m->domain ? "." : "", m->op);
        cli_table_add(&table, "%d", m->count);
        cli_table_add(&table, "%s", m->node);
        cli_table_add(&table, "%lld", (long long)m->opset);
        if (m->since)
            cli_table_add(&table, "supported from opset %d to %d", m->since, m->until);
        else
            cli_table_add(&table, "%s", "");
    }
    printf("Operators that are not supported\n");
    cli_table_print(&table, stdout, "  ");
}

static void write_missing(struct sal_json *json, const struct sal_missing *missing,
                          int n)
{
    sal_json_array(json, "unsupported");
    for (int i = 0; i < n; i++) {
        const struct sal_missing *m = &missing[i];
        sal_json_object(json, NULL);
        sal_json_text(json, "operator", m->op);
        sal_json_text(json, "domain", m->domain);
        sal_json_int(json, "nodes", m->count);
        sal_json_text(json, "first", m->node);
        sal_json_int(json, "opset", m->opset);
        if (m->since) {
            sal_json_int(json, "since", m->since);
            sal_json_int(json, "until", m->until);
        }
        sal_json_end(json);
    }
    sal_json_end(json);
}

static void print_document(const struct cli *cli, const char *model,
                           struct sal_onnx *onnx, const struct sal_missing *missing,
                           int n, const struct sal_error *err)
{
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    sal_json_object(&json, NULL);
    inspect_head(&json, cli, model, onnx);
    sal_json_object(&json, "error");
    sal_json_int(&json, "status", sal_status_exit_code(err->status));
    sal_json_text(&json, "text", err->text);
    sal_json_end(&json);
    write_missing(&json, missing, n);
    sal_json_end(&json);
    cli_print_json(&json);
    sal_buffer_release(&buffer);
}

void inspect_missing(struct cli *cli, const char *model, const struct sal_error *err)
{
    struct sal_onnx onnx;
    struct sal_arena arena = {0};
    struct sal_missing *missing;
    if (sal_onnx_open(&onnx, model, NULL))
        return;
    int n = sal_missing_find(&onnx, &arena, &missing);
    if (n && cli->json)
        print_document(cli, model, &onnx, missing, n, err);
    else if (n)
        print_table(missing, n);
    sal_arena_release(&arena);
    sal_onnx_close(&onnx);
}
