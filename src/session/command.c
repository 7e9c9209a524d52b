#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

void sal_quote_word(struct sal_buffer *line, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-+=.,:/@%";
    sal_buffer_append(line, " ", line->size ? 1 : 0);
    if (*word && strspn(word, plain) == strlen(word)) {
        sal_buffer_append(line, word, strlen(word));
        return;
    }
    sal_buffer_append(line, "'", 1);
    for (; *word; word++) {
        if (*word == '\'')
            sal_buffer_append(line, "'\\''", 4);
        else
            sal_buffer_append(line, word, 1);
    }
    sal_buffer_append(line, "'", 1);
}

static void put_option(struct sal_buffer *line, const char *option, const char *value)
{
    if (!value)
        return;
    sal_quote_word(line, option);
    sal_quote_word(line, value);
}

/* owner: NULL, or what stands before the key. */
static void put_params(struct sal_buffer *line, const char *owner, const struct sal_param *list,
                       const struct sal_params *params)
{
    for (int i = 0; list && list[i].name; i++) {
        char value[128], pair[288];
        sal_param_text(&list[i], params->value[i], value, sizeof(value));
        snprintf(pair, sizeof(pair), "%s%s%s=%s", owner ? owner : "", owner ? "." : "",
                 list[i].name, value);
        put_option(line, "-P", pair);
    }
}

static void put_question(struct sal_buffer *line, const struct sal_session *session,
                         const struct sal_session_ask *ask, bool redact)
{
    const struct sal_param *list = ask->probe ? ask->probe->params : ask->method->params;
    if (ask->probe)
        put_option(line, "-A", ask->probe->name);
    else
        put_option(line, "-M", ask->method->name);
    put_option(line, "--like", ask->like ? ask->like->name : NULL);
    put_params(line, NULL, list, &ask->params);
    if (ask->beside) {
        put_option(line, "-M", ask->beside->name);
        put_params(line, ask->beside->name, ask->beside->params, &ask->beside_params);
        put_params(line, "agreement", sal_stability_params, &ask->stability_params);
    }
    char class_text[16];
    snprintf(class_text, sizeof(class_text), "%d", ask->class_index);
    put_option(line, "-c", class_text);
    for (int i = 0; i < ask->n_roi; i++)
        put_option(line, "--roi", redact && !sal_roi_is_rectangle(ask->roi[i]) ? "MASK"
                                                                             : ask->roi[i]);
    if (ask->where != SAL_EVERYWHERE)
        put_option(line, "--where", sal_where_names[ask->where]);
    if (ask->layer >= 0)
        put_option(line, "-l", sal_model_value(session->model, ask->layer).name);
}

/* redact: MODEL, IMAGE, SIDECAR and MASK stand for the files. */
static void put_command(struct sal_buffer *line, const struct sal_session *session,
                        bool redact)
{
    const struct sal_session_options *own = &session->options;
    const struct sal_case *held = sal_session_case(session);
    sal_quote_word(line, "saliscope");
    const bool probe = sal_session_shows_probe(session), result = sal_session_serial(session) > 0;
    sal_quote_word(line, probe          ? "probe"
                         : result       ? "explain"
                         : held->loaded ? "classify"
                                        : "inspect");
    if (held->loaded)
        sal_quote_word(line, "-m");
    sal_quote_word(line, redact ? "MODEL" : sal_model_path(session->model));
    if (held->loaded)
        sal_quote_word(line, redact ? "IMAGE" : held->loaded->path);
    if (result)
        put_question(line, session, probe ? &held->probed->ask : &held->explained->ask, redact);
    put_option(line, "--score", own->score);
    if (own->force_opset)
        sal_quote_word(line, "--force-opset");
    if (own->sidecar)
        put_option(line, "-s", redact ? "SIDECAR" : own->sidecar);
    put_option(line, "--preset", own->preset);
    char seed[32];
    snprintf(seed, sizeof(seed), "%" PRIu64, own->seed);
    put_option(line, "--seed", own->seed ? seed : NULL);
    if (own->exact)
        sal_quote_word(line, "--exact");
    if (own->precision != SAL_F32)
        put_option(line, "--precision", sal_precision_names[own->precision]);
    sal_quote_word(line, "--json");
    sal_buffer_append(line, "", 1);
}

void sal_record_command(struct sal_json *json, const struct sal_session *session,
                          bool redact)
{
    if (session->options.program && !redact) {
        sal_json_text(json, "command", session->options.program);
        return;
    }
    struct sal_buffer line = {0};
    put_command(&line, session, redact);
    sal_json_text(json, "command", line.failed ? NULL : (const char *)line.data);
    sal_buffer_release(&line);
}
