/*
 * Facts: labelled text, one below the other. No state of its own.
 */
#ifndef SALISCOPE_TUI_FACTS_H
#define SALISCOPE_TUI_FACTS_H

#include "draw.h"
#include "saliscope/session.h"

struct sal_app;

/* Where the next fact goes. */
struct sal_facts {
    const struct sal_canvas *canvas;
    const struct sal_app *app;
    int y;
};

/* Text of any length beside its label, "" for more of the one before. */
void sal_facts_add(struct sal_facts *at, enum sal_style style, const char *label,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A layer of the model, by its value. */
void sal_facts_layer(struct sal_facts *at, const char *label, int value);

/* The parameters that count; nothing where there are none. */
void sal_facts_params(struct sal_facts *at, const char *label,
                     const struct sal_session_ask *ask);

#endif
