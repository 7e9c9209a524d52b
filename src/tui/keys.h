/*
 * The keys: one table that dispatch, the help pane, the footer and `list keys`
 * read. The public half (keys and help) is sal_tui_keys; row i of both belongs
 * together. No state.
 */
#ifndef SALISCOPE_TUI_KEYS_H
#define SALISCOPE_TUI_KEYS_H

#include <stddef.h>

#include "saliscope/tui.h"

/* request, keys, word for the footer (NULL: not there), sentence for the help */
#define SAL_KEYS(X)                                                                \
    X(QUIT, "q", "quit", "Quit")                                                   \
    X(HELP, "?, F1", "help", "Show or hide the keys")                              \
    X(OVERLAY, "o, Space", "overlay", "Show the image alone, or the map with it")   \
    X(CLASS_DOWN, "j, Down", "class", "Take the class one row further down")       \
    X(CLASS_UP, "k, Up", NULL, "Take the class one row further up")                \
    X(EXPLAIN, "Enter", NULL, "Explain or probe what is chosen at once")            \
    X(TOP_CLASS, "t", NULL, "Take the class that the model ranks first")           \
    X(LAYER_NEXT, "l, Right", "layer", "Look at the next layer, nearer the output") \
    X(LAYER_BACK, "h, Left", NULL, "Look at the layer before, nearer the input")   \
    X(LAYER_AUTO, "a", NULL, "Look at the layer chosen automatically")             \
    X(METHOD_NEXT, "e", "method", "Take the next method, or the next probe")       \
    X(METHOD_BACK, "E", NULL, "Take the method before, or the probe before")       \
    X(PROBE, "x", "probe", "Probe what changes the decision, or go back to maps")  \
    X(GOAL, "f", NULL, "Go round a probe's goals: undo, hide, create")             \
    X(COMPARE, "b", NULL, "Go round a probe's pictures: change, map before, map after") \
    X(PARAMS, "P", NULL, "Set the parameters of the method or the probe")          \
    X(SAVE, "s", "save", "Save a figure, the map, an altered picture, the record") \
    X(CANCEL, "Esc", "stop", "Stop the work under way, or close what is open")     \
    X(COLORMAP_NEXT, "m", "colours", "Take the next colour map")                   \
    X(COLORMAP_BACK, "M", NULL, "Take the colour map before")                      \
    X(OPACITY_MORE, "+, =", "opacity", "Make the map, or the change, stronger")    \
    X(OPACITY_LESS, "-", NULL, "Make the map, or the change, weaker")              \
    X(VIEW, "v", "view", "Go round the ways to show map or change")                \
    X(CONTOUR, "c", "contour", "Draw a line around the strongest 5, 10, 20 percent") \
    X(GRID, "g", NULL, "Show a map on its own grid, or interpolated")              \
    X(IMAGE_NEXT, "n, Tab", NULL, "Go to the next image")                          \
    X(IMAGE_BACK, "p, Shift-Tab", NULL, "Go to the image before")                  \
    X(SCROLL_DOWN, "PgDn", NULL, "Scroll the facts down")                          \
    X(SCROLL_UP, "PgUp", NULL, "Scroll the facts up")                              \
    X(AGAIN, "r", NULL, "Load the image and run everything again")                 \
    X(REDRAW, "Ctrl-L", NULL, "Draw the screen anew")

enum sal_request {
#define X(request, keys, hint, help) SAL_REQUEST_##request,
    SAL_KEYS(X)
#undef X
        SAL_REQUESTS, /* their number; also: no request */
};

/* The footer's word for each request; NULL where it is not there. */
extern const char *const sal_key_hints[SAL_REQUESTS];

/* The curses code of one key's name ("q", "Left", "Ctrl-L"); -1 for no such. */
int sal_key_code(const char *name, size_t size);

/* Walks the names in a row's keys: returns the next one and its size, NULL at the
 * end. cursor starts as the row's keys. */
const char *sal_key_next(const char **cursor, size_t *size);

/* What a curses code asks for; SAL_REQUESTS when nothing. */
enum sal_request sal_key_request(int code);

#endif
