/* What can be set of a method or a probe, by hand. */
#include <stdio.h>
#include <string.h>

#include "action.h"

/* The parameter of that name; -1: there is none. */
static int find_param(const struct sal_param *list, const char *name, size_t size)
{
    for (int i = 0; list && list[i].name; i++)
        if (strlen(list[i].name) == size && !memcmp(list[i].name, name, size))
            return i;
    return -1;
}

void sal_act_goal(struct sal_app *app, int unused)
{
    (void)unused;
    struct sal_session_ask *ask = sal_app_ask(app);
    int at = find_param(sal_ask_params(ask), "goal", 4), n = 0;
    if (at < 0) {
        sal_app_say(app, SAL_OK, "%s has no goal", sal_ask_title(ask));
        return;
    }
    while (sal_goal_names[n])
        n++;
    ask->params.value[at] = ((int)ask->params.value[at] + 1) % n;
    sal_app_say(app, SAL_OK, "goal: %s", sal_goal_names[(int)ask->params.value[at]]);
    sal_app_ask_soon(app);
}

/* Each "key=value" of the text. */
static void set_params(struct sal_app *app)
{
    struct sal_session_ask *ask = sal_app_ask(app);
    struct sal_params params = ask->params;
    struct sal_error err = {0};
    char text[sizeof(app->prompt.text)], *rest;
    app->prompt.open = false;
    strcpy(text, app->prompt.text);
    for (char *pair = strtok_r(text, " ", &rest); pair; pair = strtok_r(NULL, " ", &rest))
        if (sal_params_set(&params, sal_ask_params(ask), pair, sal_ask_name(ask), &err)) {
            sal_app_say(app, err.status, "%s", err.text);
            return;
        }
    ask->params = params;
    sal_app_ask_soon(app);
}

/* What can be set where one is typing, or else what can be done. */
static void hint_param(struct sal_app *app)
{
    struct sal_prompt *prompt = &app->prompt;
    const struct sal_param *list = sal_ask_params(sal_app_ask(app));
    const char *blank = strrchr(prompt->text, ' '), *key = blank ? blank + 1 : prompt->text;
    int at = find_param(list, key, strcspn(key, "="));
    const char *help = at < 0 ? "Enter sets, Esc leaves" : list[at].help;
    const char *const *choice = at < 0 ? NULL : list[at].choices;
    *prompt->hint = '\0';
    for (size_t used = 0; choice && *choice; choice++, used = strlen(prompt->hint))
        snprintf(prompt->hint + used, sizeof(prompt->hint) - used, "%s%s", used ? " | " : "",
                 *choice);
    if (!*prompt->hint)
        snprintf(prompt->hint, sizeof(prompt->hint), "%s", help);
}

void sal_act_params(struct sal_app *app, int unused)
{
    (void)unused;
    const struct sal_session_ask *ask = sal_app_ask(app);
    const struct sal_param *list = sal_ask_params(ask);
    char text[sizeof(app->prompt.text)] = "";
    for (int i = 0; list && list[i].name; i++) {
        char value[128];
        size_t used = strlen(text);
        if (!sal_param_counts(&ask->params, list, i))
            continue;
        sal_param_text(&list[i], ask->params.value[i], value, sizeof(value));
        snprintf(text + used, sizeof(text) - used, "%s%s=%s", used ? " " : "", list[i].name,
                 value);
    }
    if (!*text) {
        sal_app_say(app, SAL_OK, "%s has no parameters", sal_ask_title(ask));
        return;
    }
    sal_prompt_open(&app->prompt, sal_ask_name(ask), text);
    app->entered = set_params;
    app->typed = hint_param;
    hint_param(app);
}
