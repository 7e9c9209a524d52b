#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "saliscope/tui.h"

enum { IMAGES_MAX = 100000 };

/* Paths to look at, in order. */
struct album {
    char **path;
    int n, capacity;
};

static void release(struct album *album)
{
    for (int i = 0; i < album->n; i++)
        free(album->path[i]);
    free(album->path);
    *album = (struct album){0};
}

static enum sal_status add(struct album *album, const char *path, struct sal_error *err)
{
    if (album->n == IMAGES_MAX)
        return sal_fail(err, SAL_LIMIT, "more than %d images", IMAGES_MAX);
    if (album->n == album->capacity) {
        int capacity = album->capacity ? album->capacity * 2 : 64;
        char **grown = realloc(album->path, (size_t)capacity * sizeof(*grown));
        if (!grown)
            return sal_fail(err, SAL_LIMIT, "no memory for %d images", capacity);
        album->path = grown;
        album->capacity = capacity;
    }
    album->path[album->n] = strdup(path);
    if (!album->path[album->n])
        return sal_fail(err, SAL_LIMIT, "no memory for an image's name");
    album->n++;
    return SAL_OK;
}

/* The extension is one that a loader's list ("jpg jpeg") has. */
static bool is_image(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || !dot[1])
        return false;
    for (int i = 0; sal_image_loaders[i]; i++) {
        const char *list = sal_image_loaders[i]->extensions;
        while (*list) {
            size_t size = strcspn(list, " ,");
            if (size == strlen(dot + 1) && strncasecmp(list, dot + 1, size) == 0)
                return true;
            list += size + strspn(list + size, " ,");
        }
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum sal_status add_folder(struct album *album, const char *folder,
                                  struct sal_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return sal_fail(err, SAL_BAD_INPUT, "%s: the folder cannot be read", folder);
    int before = album->n;
    enum sal_status status = SAL_OK;
    for (struct dirent *entry; !status && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || !is_image(entry->d_name))
            continue;
        char path[4096];
        int size = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (size < (int)sizeof(path))
            status = add(album, path, err);
    }
    closedir(dir);
    if (status)
        return status;
    if (album->n == before)
        return sal_fail(err, SAL_BAD_INPUT, "%s: no images in this folder", folder);
    qsort(album->path + before, (size_t)(album->n - before), sizeof(*album->path),
          by_name);
    return SAL_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcasecmp(text + size - tail, end) == 0;
}

/* -m, else the one operand that is an .onnx file. */
static const char *choose_model(const struct options *options)
{
    const char *model = option_text(options, OPT_MODEL, NULL);
    for (int i = 0; !model && i < options->n_operands; i++)
        if (ends_with(options->operands[i], ".onnx"))
            model = options->operands[i];
    return model;
}

static enum sal_status collect(struct album *album, const struct options *options,
                               const char *model, struct sal_error *err)
{
    for (int i = 0; i < options->n_operands; i++) {
        const char *operand = options->operands[i];
        struct stat info;
        if (operand == model)
            continue;
        if (ends_with(operand, ".csv"))
            return sal_fail(err, SAL_USAGE, "%s: this version does not open manifests yet",
                            operand);
        bool folder = stat(operand, &info) == 0 && S_ISDIR(info.st_mode);
        enum sal_status status =
            folder ? add_folder(album, operand, err) : add(album, operand, err);
        if (status)
            return status;
    }
    return SAL_OK;
}

static enum sal_status open_workbench(struct cli *cli, const char *model,
                                      const struct album *album, struct sal_error *err)
{
    struct sal_tui_options options = {
        .images = (const char *const *)album->path,
        .n_images = album->n,
        .colors = -1,
        .ascii = option_given(&cli->options, OPT_ASCII),
    };
    const char *color = option_text(&cli->options, OPT_COLOR, "auto");
    const char *no = getenv("NO_COLOR");
    if (strcmp(color, "never") == 0 || (strcmp(color, "auto") == 0 && no && *no))
        options.colors = 0;
    /* Records made in the workbench tell the question that was asked there. */
    sal_buffer_release(&cli->program);
    cli->previews = true;
    enum sal_status status = cli_open_session(cli, model, err);
    if (!status)
        status = cli_ask(cli, &options.ask, err);
    if (!status && option_given(&cli->options, OPT_PROBE))
        status = cli_ask_probe(cli, &options.probe, err);
    if (!status)
        status = cli_view(cli, &options.view, err);
    if (!status)
        status = sal_tui_run(cli->session, &options, err);
    return status;
}

int cmd_open(struct cli *cli)
{
    const char *model = choose_model(&cli->options);
    struct album album = {0};
    struct sal_error err = {0};
    if (!model)
        return cli_usage("open needs a model: saliscope open -m MODEL.onnx IMAGE...");
    enum sal_status status = collect(&album, &cli->options, model, &err);
    if (!status && !album.n)
        status = sal_fail(&err, SAL_USAGE, "open needs an image or a folder of images");
    if (!status)
        status = open_workbench(cli, model, &album, &err);
    release(&album);
    return status ? cli_fail(&err) : 0;
}
