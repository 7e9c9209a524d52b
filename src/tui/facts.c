#include "facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

enum { LABEL_COLUMNS = 9 };

void sal_facts_add(struct sal_facts *at, enum sal_style style, const char *label,
                   const char *format, ...)
{
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sal_draw(at->canvas, at->y, 0, LABEL_COLUMNS - 1, SAL_STYLE_QUIET, "%s", label);
    at->y = sal_draw_wrapped(at->canvas, at->y, LABEL_COLUMNS, LABEL_COLUMNS, style, text);
}

void sal_facts_layer(struct sal_facts *at, const char *label, int value)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(at->app->model, &n, &automatic);
    for (int i = 0; i < n; i++) {
        if (layers[i].value != value)
            continue;
        struct sal_model_value about = sal_model_value(at->app->model, value);
        sal_facts_add(at, SAL_STYLE_TEXT, label, "%s (%s, %d x %d), %d of %d%s",
                      *about.node ? about.node : about.name, about.op, layers[i].width,
                      layers[i].height, i + 1, n, i == automatic ? ", automatic" : "");
        return;
    }
}

void sal_facts_params(struct sal_facts *at, const char *label,
                     const struct sal_session_ask *ask)
{
    const struct sal_param *list = sal_ask_params(ask);
    char text[600] = "";
    for (int i = 0; list && list[i].name; i++) {
        char value[128];
        if (!sal_param_counts(&ask->params, list, i))
            continue;
        sal_param_text(&list[i], ask->params.value[i], value, sizeof(value));
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s%s %s%s%s", used ? ", " : "",
                 list[i].name, value, *list[i].unit ? " " : "", list[i].unit);
    }
    if (*text)
        sal_facts_add(at, SAL_STYLE_TEXT, label, "%s", text);
}
