#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct command {
    const char *name;
    const char *operands; /* after the name, in usage */
    const char *title;
    unsigned bit;
    int (*run)(struct cli *cli); /* NULL: planned, not in this version */
};

static const struct command commands[] = {
    {"open", "[-m MODEL] IMAGE|DIR...", "look at images in the terminal", CMD_OPEN,
     cmd_open},
    {"classify", "-m MODEL IMAGE...", "class scores", CMD_CLASSIFY, cmd_classify},
    {"explain", "-m MODEL IMAGE... [-M METHOD] [-o FILE]...", "a saliency map",
     CMD_EXPLAIN, cmd_explain},
    {"probe", "-m MODEL IMAGE... [-A PROBE] [-o FILE]...",
     "what it takes to change the decision", CMD_PROBE, cmd_probe},
    {"inspect", "MODEL [--verify INPUT... OUTPUT...]",
     "what a model is, and its layers; whether it computes what was recorded",
     CMD_INSPECT, cmd_inspect},
    {"list", "[WHAT]", "methods, colormaps, operators, ...", CMD_LIST, cmd_list},
    {"bench", "MODEL [--batch N] [--threads N] [--gradient] [--runs N]",
     "how fast a model runs here, and in how much memory", CMD_BENCH, cmd_bench},
    {"doctor", "", "what this machine and terminal offer", CMD_DOCTOR, cmd_doctor},
    {"measure", "", "", 0, NULL},
    {"cohort", "", "", 0, NULL},
    {"verify", "", "", 0, NULL},
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_usage(FILE *out)
{
    fputs("Usage: saliscope COMMAND [OPTIONS]\n\n", out);
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].run)
            fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].title);
    fputs("\n'saliscope COMMAND --help' shows a command's options. Without a command, in a\n"
          "terminal, 'open' is meant. The manual is saliscope(1).\n",
          out);
}

static void print_help(const struct command *command)
{
    printf("Usage: saliscope %s %s\n%s\n\n", command->name, command->operands,
           command->title);
    options_print(stdout, command->bit);
}

static void set_program(struct cli *cli, int argc, char **argv)
{
    sal_quote_word(&cli->program, "saliscope");
    for (int i = 1; i < argc; i++)
        sal_quote_word(&cli->program, argv[i]);
    sal_buffer_append(&cli->program, "", 1);
}

static bool wants_color(const struct options *options)
{
    const char *when = option_text(options, OPT_COLOR, "auto");
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (strcmp(when, "auto") != 0)
        return strcmp(when, "always") == 0;
    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static bool to_standard_output(const struct options *options)
{
    const struct option_values *outputs = &options->value[OPT_OUTPUT];
    for (int i = 0; i < outputs->count; i++)
        if (strcmp(outputs->text[i], "-") == 0)
            return true;
    return option_given(options, OPT_JSON);
}

static int run(const struct command *command, int argc, char **argv, int first)
{
    struct cli cli = {0};
    struct sal_error err = {0};
    if (options_parse(&cli.options, argc, argv, first, command->bit, &err)) {
        options_release(&cli.options);
        return cli_fail(&err);
    }
    int status = 0;
    if (option_given(&cli.options, OPT_HELP)) {
        print_help(command);
    } else {
        set_program(&cli, argc, argv);
        cli.json = to_standard_output(&cli.options);
        cli.quiet = option_given(&cli.options, OPT_QUIET);
        cli.progress = !cli.quiet && !option_given(&cli.options, OPT_NO_PROGRESS) &&
                       isatty(STDERR_FILENO);
        cli.color = wants_color(&cli.options);
        status = command->run(&cli);
    }
    sal_session_close(cli.session);
    sal_buffer_release(&cli.program);
    options_release(&cli.options);
    return cli_finish(status);
}

static int unknown_command(const char *word)
{
    struct nearest nearest = {.word = word};
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].run)
            nearest_offer(&nearest, commands[i].name);
    if (nearest.best)
        return cli_usage("there is no command or file '%s'; %s is near", word,
                         nearest.best);
    return cli_usage("there is no command or file '%s'; 'saliscope --help' lists the "
                     "commands",
                     word);
}

static bool is_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

/* No command: `open` is meant, where there is a terminal. */
static int run_without_command(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-' && access(argv[1], F_OK) != 0)
        return unknown_command(argv[1]);
    if (argc > 1 && is_terminal())
        return run(find_command("open"), argc, argv, 1);
    print_usage(stderr);
    return sal_status_exit_code(SAL_USAGE);
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("saliscope " SAL_VERSION);
        return cli_finish(0);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_usage(stdout);
        return cli_finish(0);
    }
    const struct command *command = find_command(word);
    if (!command)
        return run_without_command(argc, argv);
    if (!command->run)
        return cli_usage("this version has no '%s' yet", word);
    return run(command, argc, argv, 2);
}
