#include "options.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const at_names[] = {"input", "layer", "image", NULL};
static const char *const channels_names[] = {"sum", "keep", NULL};
static const char *const precision_names[] = {"f32", "bf16", NULL};
static const char *const where_names[] = {"everywhere", "inside", "outside", NULL};
static const char *const color_names[] = {"auto", "always", "never", NULL};

enum {
    IMAGES = CMD_OPEN | CMD_CLASSIFY | CMD_EXPLAIN | CMD_PROBE,
    MODELS = IMAGES | CMD_INSPECT | CMD_BENCH,
    ALL = MODELS | CMD_LIST | CMD_DOCTOR,
    DRAWS = CMD_OPEN | CMD_EXPLAIN,
};

const struct option option_table[OPT_N] = {
    [OPT_MODEL] = {"model", 'm', OPTION_TEXT, "MODEL", .commands = MODELS,
                   .help = "the classifier, an .onnx file"},
    [OPT_SIDECAR] = {"sidecar", 's', OPTION_TEXT, "FILE", .commands = MODELS,
                     .help = "preprocessing, classes, thresholds (default: MODEL.json)"},
    [OPT_PRESET] = {"preset", 0, OPTION_TEXT, "NAME", .commands = MODELS,
                    .help = "preprocessing by name; see 'list presets'"},
    [OPT_SCORE] = {"score", 0, OPTION_TEXT, "SCORE", .commands = MODELS & ~CMD_PROBE,
                   .help = "what is explained: logit (default), prob, or TENSOR[i]"},
    [OPT_FORCE_OPSET] = {"force-opset", 0, OPTION_FLAG, .commands = MODELS,
                         .help = "try a model whose opset is newer than what is known"},
    [OPT_METHOD] = {"method", 'M', OPTION_TEXT, "METHOD", .commands = DRAWS | CMD_PROBE,
                    .help = "saliency method; see 'list methods'; of a probe, whose maps before "
                            "and after are compared"},
    [OPT_PROBE] = {"probe", 'A', OPTION_TEXT, "PROBE", .commands = CMD_PROBE | CMD_OPEN,
                   .help = "what is done to the image; see 'list probes'"},
    [OPT_ROI] = {"roi", 0, OPTION_TEXT, "FILE|X,Y,W,H", .many = true, .commands = CMD_PROBE,
                 .help = "a region of the image: a mask, or a rectangle; several are a union"},
    [OPT_WHERE] = {"where", 0, OPTION_CHOICE, "everywhere|inside|outside",
                   .choices = where_names, .commands = CMD_PROBE,
                   .help = "of the region, that a probe may alter (default: everywhere)"},
    [OPT_LIKE] = {"like", 0, OPTION_TEXT, "LIBRARY", .commands = DRAWS,
                  .help = "its conventions for the method; see 'list libraries'"},
    [OPT_PARAM] = {"param", 'P', OPTION_TEXT, "KEY=VALUE", .many = true,
                   .commands = DRAWS | CMD_PROBE,
                   .help = "a parameter of the method or probe; of a probe's method "
                           "METHOD.KEY=VALUE, of the comparison agreement.KEY=VALUE"},
    [OPT_CLASS] = {"class", 'c', OPTION_TEXT, "CLASS", .many = true,
                   .commands = DRAWS | CMD_PROBE,
                   .help = "index or name (default: the top class); explain takes several, "
                           "or all"},
    [OPT_LAYER] = {"layer", 'l', OPTION_TEXT, "LAYER", .commands = DRAWS | CMD_PROBE,
                   .help = "node or tensor, or auto (default); see 'inspect'"},
    [OPT_OUTPUT] = {"output", 'o', OPTION_TEXT, "FILE", .many = true,
                    .commands = CMD_EXPLAIN | CMD_CLASSIFY | CMD_PROBE,
                    .help = "write FILE, see 'list writers'; {} is the image's name, {class} "
                            "the class's index; - is JSON"},
    [OPT_AT] = {"at", 0, OPTION_CHOICE, "input|layer|image", .choices = at_names,
                .commands = CMD_EXPLAIN, .help = "resolution of a written .npy map"},
    [OPT_CHANNELS] = {"channels", 0, OPTION_CHOICE, "sum|keep",
                      .choices = channels_names, .commands = CMD_EXPLAIN,
                      .help = "input channels of a map, where the method has them"},
    [OPT_TOP] = {"top", 'n', OPTION_INT, "N", 1, INT_MAX, .commands = CMD_CLASSIFY,
                 .help = "how many classes to print (default: 5)"},
    [OPT_COLORMAP] = {"colormap", 0, OPTION_TEXT, "NAME", .commands = DRAWS,
                      .help = "see 'list colormaps' (default: by the map's sign)"},
    [OPT_ALPHA] = {"alpha", 0, OPTION_REAL, "0..1", 0, 1, .commands = DRAWS,
                   .help = "opacity of the map (default: 0.5)"},
    [OPT_RANGE] = {"range", 0, OPTION_TEXT, "LO:HI|image|symmetric|pN", .commands = DRAWS,
                   .help = "values that the colours span (default: image, or p99)"},
    [OPT_CONTOUR] = {"contour", 0, OPTION_REAL, "PERCENT", 0, 100, .commands = DRAWS,
                     .help = "a line around the highest PERCENT of the map"},
    [OPT_VERIFY] = {"verify", 0, OPTION_TEXT, "FILE|DIR", .many = true,
                    .commands = CMD_INSPECT,
                    .help = "run recorded inputs, compare with the recorded outputs"},
    [OPT_TOLERANCE] = {"tolerance", 0, OPTION_REAL, "REL", 0, 1, .commands = CMD_INSPECT,
                       .help = "of --verify, relative to each value (default: 1e-3)"},
    [OPT_GRADIENT] = {"gradient", 0, OPTION_FLAG, .commands = CMD_BENCH,
                      .help = "time forwards with input gradients too"},
    [OPT_RUNS] = {"runs", 0, OPTION_INT, "N", 1, 100000, .commands = CMD_BENCH,
                  .help = "passes timed (default: as many as take 3 seconds)"},
    [OPT_SEED] = {"seed", 0, OPTION_INT, "N", 0, 9007199254740992.0, .commands = IMAGES,
                  .help = "of random numbers (default: 0)"},
    [OPT_THREADS] = {"threads", 'j', OPTION_INT, "N", 0, 256, .commands = ALL,
                     .help = "0 (default): all processors; results do not change"},
    [OPT_BATCH] = {"batch", 0, OPTION_INT, "N", 1, 4096,
                   .commands = IMAGES | CMD_BENCH,
                   .help = "images per pass of methods that make many, or of bench"},
    [OPT_EXACT] = {"exact", 0, OPTION_FLAG, .commands = MODELS,
                   .help = "no convolution that rounds more to be faster"},
    [OPT_PRECISION] = {"precision", 0, OPTION_CHOICE, "f32|bf16",
                       .choices = precision_names,
                       .commands = CMD_EXPLAIN | CMD_OPEN | CMD_BENCH,
                       .help = "of methods of many forwards, or of bench (default: f32)"},
    [OPT_MEMORY] = {"memory", 0, OPTION_BYTES, "BYTES", 1, 9007199254740992.0,
                    .commands = MODELS,
                    .help = "most memory for tensors; K, M and G are understood"},
    [OPT_JSON] = {"json", 0, OPTION_FLAG, .commands = ALL & ~CMD_OPEN,
                  .help = "one JSON document on standard output, nothing else"},
    [OPT_QUIET] = {"quiet", 'q', OPTION_FLAG, .commands = ALL,
                   .help = "no warnings, no progress"},
    [OPT_NO_PROGRESS] = {"no-progress", 0, OPTION_FLAG, .commands = ALL,
                         .help = "no progress on standard error"},
    [OPT_COLOR] = {"color", 0, OPTION_CHOICE, "auto|always|never",
                   .choices = color_names, .commands = ALL,
                   .help = "colours; NO_COLOR is honoured"},
    [OPT_ASCII] = {"ascii", 0, OPTION_FLAG, .commands = CMD_OPEN,
                   .help = "draw with ASCII characters only"},
    [OPT_SHOW_PHI] = {"show-phi", 0, OPTION_FLAG, .commands = IMAGES,
                      .help = "show what identifies a patient"},
    [OPT_REDACT_PATHS] = {"redact-paths", 0, OPTION_FLAG, .commands = MODELS,
                          .help = "no file names in records"},
    [OPT_REQUIRE_SANDBOX] = {"require-sandbox", 0, OPTION_FLAG,
                             .commands = IMAGES | CMD_DOCTOR,
                             .help = "refuse to decode images without the full sandbox"},
    [OPT_NO_SANDBOX] = {"no-sandbox", 0, OPTION_FLAG, .commands = IMAGES | CMD_DOCTOR,
                        .help = "decode images in this process: for debugging"},
    [OPT_HELP] = {"help", 'h', OPTION_FLAG, .commands = ALL, .help = "this text"},
};

/* ---- the name that was meant -------------------------------------------------------- */

enum { WORD_MAX = 48 };

static int least(int a, int b, int c)
{
    int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edit distance; words longer than WORD_MAX are compared by their beginning. */
static int distance(const char *a, const char *b)
{
    int n = (int)strnlen(a, WORD_MAX), m = (int)strnlen(b, WORD_MAX);
    int row[WORD_MAX + 1];
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[m];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    int far = distance(nearest->word, name);
    int most = 1 + (int)strnlen(nearest->word, WORD_MAX) / 4;
    if (far > most || (nearest->best && far >= nearest->distance))
        return;
    nearest->best = name;
    nearest->distance = far;
}

/* ---- values --------------------------------------------------------------------------- */

static bool parse_bytes(const char *text, double *value)
{
    static const char units[] = "KMGT";
    char *end;
    *value = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (end == text || (*end && (!unit || end[1])))
        return false;
    for (const char *u = units; unit && u <= unit; u++)
        *value *= 1024;
    return true;
}

static bool parse_number(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool parse_choice(const struct option *option, const char *text, double *value)
{
    for (int i = 0; option->choices[i]; i++)
        if (strcmp(option->choices[i], text) == 0) {
            *value = i;
            return true;
        }
    return false;
}

static bool in_range(const struct option *option, double value)
{
    return value >= option->min && value <= option->max &&
           (option->kind == OPTION_REAL || value == floor(value));
}

static enum sal_status set(struct options *options, enum option_id id, const char *text,
                           struct sal_error *err)
{
    const struct option *option = &option_table[id];
    struct option_values *value = &options->value[id];
    double number = 1;
    bool good = true;
    if (option->kind == OPTION_CHOICE)
        good = parse_choice(option, text, &number);
    else if (option->kind == OPTION_BYTES)
        good = parse_bytes(text, &number) && in_range(option, number);
    else if (option->kind == OPTION_INT || option->kind == OPTION_REAL)
        good = parse_number(text, &number) && in_range(option, number);
    if (!good && (option->kind == OPTION_CHOICE || option->max > 1e9))
        return sal_fail(err, SAL_USAGE, "--%s takes %s, not '%s'", option->name,
                        option->argument, text);
    if (!good)
        return sal_fail(err, SAL_USAGE, "--%s takes a %s from %g to %g, not '%s'",
                        option->name,
                        option->kind == OPTION_INT ? "whole number" : "number",
                        option->min, option->max, text);
    if (value->count && !option->many && option->kind != OPTION_FLAG)
        return sal_fail(err, SAL_USAGE, "--%s is given twice", option->name);
    value->text[value->count++] = text;
    value->number = number;
    return SAL_OK;
}

/* ---- words ------------------------------------------------------------------------------ */

/* One walk along argv. */
struct walk {
    int argc, at;
    char **argv;
    unsigned command;
};

static int find_name(const char *name, size_t size)
{
    for (int id = 0; id < OPT_N; id++)
        if (strlen(option_table[id].name) == size &&
            memcmp(option_table[id].name, name, size) == 0)
            return id;
    return -1;
}

static int find_letter(char letter)
{
    for (int id = 0; id < OPT_N; id++)
        if (option_table[id].letter == letter)
            return id;
    return -1;
}

static enum sal_status unknown(const char *word, unsigned command, struct sal_error *err)
{
    char name[WORD_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    struct nearest nearest = {.word = name};
    for (int id = 0; id < OPT_N; id++)
        if (option_table[id].commands & command)
            nearest_offer(&nearest, option_table[id].name);
    if (nearest.best)
        return sal_fail(err, SAL_USAGE, "there is no option '--%s'; --%s is near", name,
                        nearest.best);
    return sal_fail(err, SAL_USAGE, "there is no option '--%s'; --help lists them", name);
}

static enum sal_status needs_value(const struct option *option, struct sal_error *err)
{
    return sal_fail(err, SAL_USAGE, "--%s needs a value: --%s=%s", option->name,
                    option->name, option->argument);
}

static enum sal_status not_here(const struct option *option, struct sal_error *err)
{
    return sal_fail(err, SAL_USAGE, "this command has no option --%s", option->name);
}

/* The next word of argv as a value. */
static enum sal_status set_next(struct options *options, struct walk *walk, int id,
                                struct sal_error *err)
{
    if (walk->at + 1 >= walk->argc)
        return needs_value(&option_table[id], err);
    return set(options, (enum option_id)id, walk->argv[++walk->at], err);
}

/* --name, --name=value, --name value */
static enum sal_status long_option(struct options *options, struct walk *walk,
                                   struct sal_error *err)
{
    const char *word = walk->argv[walk->at];
    size_t size = strcspn(word + 2, "=");
    int id = find_name(word + 2, size);
    if (id < 0)
        return unknown(word, walk->command, err);
    const struct option *option = &option_table[id];
    const char *value = word[2 + size] ? word + 3 + size : NULL;
    if (!(option->commands & walk->command))
        return not_here(option, err);
    if (option->kind == OPTION_FLAG && value)
        return sal_fail(err, SAL_USAGE, "--%s takes no value", option->name);
    if (option->kind == OPTION_FLAG)
        return set(options, (enum option_id)id, "", err);
    if (value)
        return set(options, (enum option_id)id, value, err);
    return set_next(options, walk, id, err);
}

/* -q, -c1, -c 1, -qc1 */
static enum sal_status short_options(struct options *options, struct walk *walk,
                                     struct sal_error *err)
{
    for (const char *letter = walk->argv[walk->at] + 1; *letter; letter++) {
        int id = find_letter(*letter);
        if (id < 0)
            return sal_fail(err, SAL_USAGE, "there is no option '-%c'; --help lists them",
                            *letter);
        const struct option *option = &option_table[id];
        if (!(option->commands & walk->command))
            return not_here(option, err);
        if (option->kind != OPTION_FLAG)
            return letter[1] ? set(options, (enum option_id)id, letter + 1, err)
                             : set_next(options, walk, id, err);
        enum sal_status status = set(options, (enum option_id)id, "", err);
        if (status)
            return status;
    }
    return SAL_OK;
}

/* Room for as many values as there are words, for each that may come often. */
static bool reserve(struct options *options, int argc)
{
    size_t each = (size_t)argc + 1;
    options->storage = calloc(each * (OPT_N + 1), sizeof(*options->storage));
    if (!options->storage)
        return false;
    for (int id = 0; id < OPT_N; id++)
        options->value[id].text = options->storage + each * (size_t)id;
    options->operands = options->storage + each * OPT_N;
    return true;
}

enum sal_status options_parse(struct options *options, int argc, char **argv, int first,
                              unsigned command, struct sal_error *err)
{
    *options = (struct options){0};
    if (!reserve(options, argc))
        return sal_fail(err, SAL_LIMIT, "no memory for the options");
    struct walk walk = {argc, first, argv, command};
    bool only_operands = false;
    for (; walk.at < argc; walk.at++) {
        const char *word = argv[walk.at];
        enum sal_status status = SAL_OK;
        if (only_operands || word[0] != '-' || !word[1])
            options->operands[options->n_operands++] = word;
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (word[1] == '-')
            status = long_option(options, &walk, err);
        else
            status = short_options(options, &walk, err);
        if (status)
            return status;
    }
    return SAL_OK;
}

void options_release(struct options *options)
{
    free(options->storage);
    *options = (struct options){0};
}

/* ---- reading ------------------------------------------------------------------------------ */

bool option_given(const struct options *options, enum option_id id)
{
    return options->value[id].count > 0;
}

const char *option_text(const struct options *options, enum option_id id,
                        const char *fallback)
{
    const struct option_values *value = &options->value[id];
    return value->count ? value->text[value->count - 1] : fallback;
}

double option_number(const struct options *options, enum option_id id, double fallback)
{
    return options->value[id].count ? options->value[id].number : fallback;
}

void options_print(FILE *out, unsigned command)
{
    for (int id = 0; id < OPT_N; id++) {
        const struct option *option = &option_table[id];
        if (!(option->commands & command))
            continue;
        char left[64], letter[8] = "    ";
        if (option->letter)
            snprintf(letter, sizeof(letter), "-%c, ", option->letter);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, option->name,
                 option->argument ? " " : "", option->argument ? option->argument : "");
        fprintf(out, "  %-36s %s\n", left, option->help);
    }
}
