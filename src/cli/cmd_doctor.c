#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "saliscope/cells.h"
#include "saliscope/pool.h"
#include "saliscope/run.h"

enum { VALUE_MAX = 256 };

/* ---- what is looked at -------------------------------------------------------------------- */

static void see_terminal(const struct cli *cli, char *dst)
{
    (void)cli;
    const char *term = getenv("TERM");
    struct winsize size = {0};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        snprintf(dst, VALUE_MAX, "%s, but standard input or output is not a terminal",
                 term ? term : "TERM is not set");
    else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        snprintf(dst, VALUE_MAX, "%s, %d x %d", term ? term : "TERM is not set",
                 size.ws_col, size.ws_row);
    else
        snprintf(dst, VALUE_MAX, "%s", term ? term : "TERM is not set");
}

static void see_colors(const struct cli *cli, char *dst)
{
    (void)cli;
    enum sal_depth depth = cli_depth();
    const char *no = getenv("NO_COLOR");
    if (depth == SAL_TRUECOLOR)
        snprintf(dst, VALUE_MAX, "truecolor");
    else if (depth == SAL_MONO)
        snprintf(dst, VALUE_MAX, "none");
    else
        snprintf(dst, VALUE_MAX, "%d (set COLORTERM=truecolor if it can do more)",
                 (int)depth);
    if (no && *no)
        strncat(dst, ", switched off by NO_COLOR", VALUE_MAX - strlen(dst) - 1);
}

static void see_encoding(const struct cli *cli, char *dst)
{
    (void)cli;
    snprintf(dst, VALUE_MAX, "%s%s", nl_langinfo(CODESET),
             cli_unicode() ? "" : " (pictures are drawn in ASCII; a UTF-8 locale shows more)");
}

static void see_graphics(const struct cli *cli, char *dst)
{
    (void)cli;
    const struct sal_encoder *encoder = sal_encoder_best(cli_depth(), cli_unicode());
    snprintf(dst, VALUE_MAX, "%s (this version draws with characters only)",
             encoder->title);
}

static void see_sandbox(const struct cli *cli, char *dst)
{
    sal_sandbox_describe(dst, VALUE_MAX, cli_sandbox(cli));
}

static void see_blas(const struct cli *cli, char *dst)
{
    (void)cli;
    snprintf(dst, VALUE_MAX, "%s", sal_blas_describe());
}

static void see_threads(const struct cli *cli, char *dst)
{
    struct sal_pool *pool;
    int wanted = (int)option_number(&cli->options, OPT_THREADS, 0);
    if (sal_pool_open(&pool, wanted, NULL)) {
        snprintf(dst, VALUE_MAX, "none can be started");
        return;
    }
    snprintf(dst, VALUE_MAX, "%d of %ld processors", sal_pool_threads(pool),
             sysconf(_SC_NPROCESSORS_ONLN));
    sal_pool_close(pool);
}

static void see_memory(const struct cli *cli, char *dst)
{
    (void)cli;
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    snprintf(dst, VALUE_MAX, "%.1f GiB", bytes / (1024.0 * 1024 * 1024));
}

static void see_build(const struct cli *cli, char *dst)
{
    (void)cli;
    snprintf(dst, VALUE_MAX, "%s", __VERSION__);
}

static const struct {
    const char *name, *title;
    void (*see)(const struct cli *cli, char *dst); /* fills VALUE_MAX bytes */
} checks[] = {
    {"terminal", "Terminal", see_terminal},
    {"colors", "Colours", see_colors},
    {"encoding", "Characters", see_encoding},
    {"graphics", "Pictures", see_graphics},
    {"sandbox", "Sandbox", see_sandbox},
    {"blas", "BLAS", see_blas},
    {"threads", "Threads", see_threads},
    {"memory", "Memory", see_memory},
    {"compiler", "Compiled by", see_build},
};
enum { N_CHECKS = sizeof(checks) / sizeof(*checks) };

/* The one thing here that can be demanded. */
static bool sandbox_holds(const struct cli *cli)
{
    struct sal_sandbox_posture posture = sal_sandbox_probe();
    return cli_sandbox(cli) != SAL_SANDBOX_REQUIRE ||
           (posture.seccomp && posture.landlock_abi > 0);
}

static int print_document(const struct cli *cli)
{
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    sal_json_object(&json, NULL);
    sal_json_text(&json, "saliscope", SAL_VERSION);
    sal_json_text(&json, "command", (const char *)cli->program.data);
    for (int i = 0; i < N_CHECKS; i++) {
        char value[VALUE_MAX];
        checks[i].see(cli, value);
        sal_json_text(&json, checks[i].name, value);
    }
    sal_json_end(&json);
    int status = cli_print_json(&json);
    sal_buffer_release(&buffer);
    return status;
}

static int print_table(const struct cli *cli)
{
    struct cli_table table = {.align = "ll"};
    cli_table_add(&table, "%s", "saliscope");
    cli_table_add(&table, "%s", SAL_VERSION);
    for (int i = 0; i < N_CHECKS; i++) {
        char value[VALUE_MAX];
        checks[i].see(cli, value);
        cli_table_add(&table, "%s", checks[i].title);
        cli_table_add(&table, "%s", value);
    }
    cli_table_print(&table, stdout, "");
    return 0;
}

int cmd_doctor(struct cli *cli)
{
    if (cli->options.n_operands)
        return cli_usage("doctor takes no operand, '%s' was given",
                         cli->options.operands[0]);
    int status = cli->json ? print_document(cli) : print_table(cli);
    if (status || sandbox_holds(cli))
        return status;
    struct sal_error err = {SAL_NO, "the full sandbox is required and this system does "
                                    "not offer it"};
    return cli_fail(&err);
}
