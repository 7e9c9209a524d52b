/* Files from what is on the screen. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "action.h"

/* Appends text to a file name, anything unusual in it as one dash. */
static void append_plain(char *dst, size_t capacity, const char *text)
{
    size_t used = strlen(dst);
    for (; *text && used + 1 < capacity; text++) {
        bool plain = isalnum((unsigned char)*text) || strchr("+_.", *text);
        if (plain || (used && dst[used - 1] != '-'))
            dst[used++] = plain ? *text : '-';
    }
    while (used && dst[used - 1] == '-')
        used--;
    dst[used] = '\0';
}

/* IMAGE-METHOD-CLASS.png, numbered when that is there already. */
static void default_name(const struct sal_app *app, char *dst, size_t capacity)
{
    const struct sal_session_ask *ask = sal_app_task(app)->answered(&app->snapshot);
    char stem[200] = "";
    const char *image = sal_app_basename(app->snapshot.image_path);
    append_plain(stem, sizeof(stem) / 2, image);
    char *dot = strrchr(stem, '.');
    if (dot && dot != stem)
        *dot = '\0';
    if (ask) {
        strcat(stem, "-");
        append_plain(stem, sizeof(stem) - 40, sal_ask_name(ask));
        strcat(stem, "-");
        append_plain(stem, sizeof(stem), sal_model_class(app->model, ask->class_index));
    }
    snprintf(dst, capacity, "%s.png", stem);
    for (int i = 2; i < 1000 && !access(dst, F_OK); i++)
        snprintf(dst, capacity, "%s-%d.png", stem, i);
}

static void save(struct sal_app *app)
{
    struct sal_prompt *prompt = &app->prompt;
    if (!*prompt->text) {
        prompt->open = false;
        return;
    }
    if (!prompt->confirm && !access(prompt->text, F_OK)) {
        prompt->confirm = true;
        return;
    }
    prompt->open = false;
    struct sal_error err = {0};
    if (!strcmp(prompt->text, "-"))
        sal_app_say(app, SAL_USAGE, "standard output is this screen; name a file");
    else if (sal_session_write(app->session, prompt->text, sal_app_view(app), SAL_AT_INPUT,
                               &err))
        sal_app_say(app, err.status, "%s", err.text);
    else
        sal_app_say(app, SAL_OK, "wrote %s", prompt->text);
}

/* What can be written of a map, or of a probe's answer. */
static void hint_extensions(char *dst, size_t capacity, bool answer)
{
    char list[64] = "";
    for (const struct sal_writer *row = sal_writers; row->extension; row++) {
        size_t used = strlen(list);
        if (!answer || row->encode_probe)
            snprintf(list + used, sizeof(list) - used, "%s%s", used ? " " : "",
                     row->extension);
    }
    snprintf(dst, capacity, "Enter writes (%s), Esc leaves", list);
}

void sal_act_save(struct sal_app *app, int unused)
{
    (void)unused;
    if (!app->snapshot.image || app->snapshot.scores.n == 0) {
        sal_app_say(app, SAL_OK, "there is nothing to save yet");
        return;
    }
    char name[256];
    default_name(app, name, sizeof(name));
    sal_prompt_open(&app->prompt, "save as", name);
    hint_extensions(app->prompt.hint, sizeof(app->prompt.hint),
                    sal_app_task(app)->result == SAL_RESULT_ANSWER);
    app->entered = save;
    app->typed = NULL;
}
