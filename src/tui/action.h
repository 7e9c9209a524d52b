/*
 * What keys do, as action.c's table has it. Main thread only.
 */
#ifndef SALISCOPE_TUI_ACTION_H
#define SALISCOPE_TUI_ACTION_H

#include "app.h"

/* Asks the question as it is, or of the image read anew; stops what is under way. */
void sal_act_ask(struct sal_app *app, int unused);
void sal_act_again(struct sal_app *app, int unused);
void sal_act_cancel(struct sal_app *app, int unused);

/* Changes what is asked, by one in the order there is. */
void sal_act_move_class(struct sal_app *app, int by);
void sal_act_top_class(struct sal_app *app, int unused);
void sal_act_move_layer(struct sal_app *app, int by);
void sal_act_automatic_layer(struct sal_app *app, int unused);
void sal_act_step(struct sal_app *app, int by);
void sal_act_goal(struct sal_app *app, int unused);
void sal_act_compare(struct sal_app *app, int unused);
void sal_act_move_image(struct sal_app *app, int by);

/* Asks for the parameters of the method or probe, and sets them. */
void sal_act_params(struct sal_app *app, int unused);

/* Asks for a file's name, and writes it. */
void sal_act_save(struct sal_app *app, int unused);

#endif
