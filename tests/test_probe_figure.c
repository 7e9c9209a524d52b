/* What a probe's answer looks like: its plots as plain data, and the panels and words of its
 * figure, of a linear model whose changes are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "saliscope/file.h"
#include "sheet.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, PATH_SIZE = 256 };

/* A folder with a model of `channels` and an image. */
struct fixture {
    char folder[64], model[PATH_SIZE], sidecar[PATH_SIZE], image[PATH_SIZE];
    float w[3 * PIXELS];
    uint16_t levels[3 * PIXELS]; /* of the image, pixel by pixel */
    int channels;
    struct sal_session *session;
    struct sal_sheet sheet;
};

static void put(const char *path, const void *data, size_t size)
{
    assert_int_equal(sal_file_write(path, data, size, NULL), SAL_OK);
}

/* Weights of either sign and of all sizes, none of them 0; the class is called. */
static void make_model(struct fixture *f)
{
    const int n = f->channels * PIXELS;
    float bias = 0.5f;
    for (int i = 0; i < n; i++) {
        f->w[i] = (float)((i * 37) % 100 + 1) / 100 * ((i * 7) % 3 ? 1.0f : -1.0f);
        int pixel = i % PIXELS, c = i / PIXELS;
        f->levels[pixel * f->channels + c] = (uint16_t)(60 + (i * 29) % 130);
        bias -= f->w[i] * (float)f->levels[pixel * f->channels + c] / 255;
    }
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, f->channels, SIDE, SIDE});
    onnx_build_weights(&b, "w", 2, (int64_t[]){n, 1}, f->w);
    onnx_build_weights(&b, "b", 1, (int64_t[]){1}, &bias);
    onnx_build_node(&b, "Flatten", "x", "f");
    onnx_build_node(&b, "Gemm", "f,w,b", "logits");
    onnx_build_node(&b, "Sigmoid", "logits", "p");
    onnx_build_output(&b, "p", SAL_ONNX_FLOAT, 2, (int64_t[]){1, 1});
    struct sal_span bytes = onnx_build_finish(&b);
    put(f->model, bytes.data, bytes.size);
    onnx_build_release(&b);
    char text[400];
    snprintf(text, sizeof(text),
             "{\"name\": \"tiny\", \"input\": {\"channels\": \"%s\", \"resize\": \"nearest\", "
             "\"range\": [0, 1]}, \"classes\": [{\"name\": \"nodule\", \"threshold\": 0.4}]}",
             f->channels == 1 ? "gray" : "RGB");
    put(f->sidecar, text, strlen(text));
}

static void make_image(struct fixture *f)
{
    struct sal_image image;
    struct sal_buffer png = {0};
    assert_int_equal(sal_image_init(&image, SIDE, SIDE, f->channels, 8, NULL), SAL_OK);
    memcpy(image.samples, f->levels, (size_t)f->channels * PIXELS * sizeof(*f->levels));
    assert_int_equal(sal_image_encode_png(&image, 0, NULL, 0, &png, NULL), SAL_OK);
    put(f->image, png.data, png.size);
    sal_buffer_release(&png);
    sal_image_release(&image);
}

static int open_fixture(void **state, int channels)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->folder, "/tmp/saliscope-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->channels = channels;
    snprintf(f->model, PATH_SIZE, "%s/tiny.onnx", f->folder);
    snprintf(f->sidecar, PATH_SIZE, "%s/tiny.json", f->folder);
    snprintf(f->image, PATH_SIZE, "%s/image.png", f->folder);
    make_model(f);
    make_image(f);
    struct sal_session_options options = {.threads = 1, .seed = 7};
    struct sal_error err = {0};
    if (sal_session_open(&f->session, f->model, &options, &err) ||
        sal_session_load(f->session, f->image, &err))
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int open_grey(void **state)
{
    return open_fixture(state, 1);
}

static int open_colour(void **state)
{
    return open_fixture(state, 3);
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    char line[128];
    for (int i = 0; i < SAL_FIGURE_PANELS_MAX; i++)
        sal_picture_release(&f->sheet.picture[i]);
    sal_probe_plot_release(&f->sheet.plot);
    sal_session_close(f->session);
    snprintf(line, sizeof(line), "rm -rf '%s'", f->folder);
    int rc = system(line);
    free(f);
    return rc;
}

/* Probes the image, with maps of a method where one is named, and fills the sheet; settings
 * "eps=0.1 norm=l2". */
static const struct sal_probe_answer *probe_beside(struct fixture *f, const char *name,
                                                   const char *settings, const char *method)
{
    struct sal_session_ask ask = {.probe = sal_probe_find(name),
                                  .beside = method ? sal_method_find(method) : NULL,
                                  .layer = -1};
    if (ask.beside)
        sal_params_init(&ask.beside_params, ask.beside->params);
    sal_params_init(&ask.stability_params, sal_stability_params);
    const struct sal_probe_answer *answer;
    struct sal_error err = {0};
    char words[128];
    sal_params_init(&ask.params, ask.probe->params);
    snprintf(words, sizeof(words), "%s", settings);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        assert_int_equal(sal_params_set(&ask.params, ask.probe->params, word, name, NULL),
                         SAL_OK);
    if (sal_session_probe(f->session, &ask, &answer, &err))
        fail_msg("%s", err.text);
    const struct sal_view view = {0};
    const struct sal_writing writing = {f->session, sal_session_case(f->session), &view,
                                        SAL_AT_INPUT};
    if (sal_sheet_fill_probe(&f->sheet, &writing, &err))
        fail_msg("%s", err.text);
    return answer;
}

static const struct sal_probe_answer *probe(struct fixture *f, const char *name,
                                            const char *settings)
{
    return probe_beside(f, name, settings, NULL);
}

static bool says(const struct fixture *f, const char *text)
{
    for (int i = 0; i < f->sheet.n_lines; i++)
        if (strstr(f->sheet.line[i], text))
            return true;
    return false;
}

static void assert_says(const struct fixture *f, const char *text)
{
    if (says(f, text))
        return;
    for (int i = 0; i < f->sheet.n_lines; i++)
        print_message("%s\n", f->sheet.line[i]);
    fail_msg("the caption does not say '%s'", text);
}

static void assert_rgb(const uint8_t *rgb, int r, int g, int b, int tolerance)
{
    const int expected[] = {r, g, b};
    for (int c = 0; c < 3; c++)
        if (!(abs(rgb[c] - expected[c]) <= tolerance))
            fail_msg("pixel %d %d %d, expected %d %d %d", rgb[0], rgb[1], rgb[2], r, g, b);
}

/* ---- figures ------------------------------------------------------------------------------- */

/* FGSM moves each pixel by eps against the sign of its weight. */
static void panels_are_the_image_the_altered_picture_and_the_change(void **state)
{
    struct fixture *f = *state;
    const struct sal_probe_answer *a = probe(f, "fgsm", "eps=25/255");
    const struct sal_figure *figure = &f->sheet.figure;
    assert_true(a->flipped);
    assert_in_range(figure->n_panels, 3, 4);
    for (int i = 0; i < PIXELS; i++) {
        int sign = f->w[i] > 0 ? 1 : -1, given = f->levels[i], altered = given - 25 * sign;
        uint8_t blue[3], red[3], *change = (uint8_t *)(sign > 0 ? blue : red);
        sal_colormap_at(sal_colormap_default(true), 0, blue);
        sal_colormap_at(sal_colormap_default(true), 1, red);
        assert_rgb(figure->panel[0].picture->rgb + 3 * i, given, given, given, 0);
        assert_rgb(figure->panel[1].picture->rgb + 3 * i, altered, altered, altered, 0);
        assert_rgb(figure->panel[2].picture->rgb + 3 * i, change[0], change[1], change[2], 0);
    }
    const struct sal_figure_panel *change = &figure->panel[2];
    assert_true(change->colormap && change->colormap->diverging);
    assert_true(fabs(change->range.low + 25) <= 1e-4 && fabs(change->range.high - 25) <= 1e-4);
    assert_string_equal(change->label, "change, magnified 10.2 times");
    assert_string_equal(change->unit, "levels of 255");
}

/* In l2 FGSM goes along the gradient: of each pixel the channel of the largest weight. */
static void of_colour_the_largest_change_is_shown(void **state)
{
    struct fixture *f = *state;
    const struct sal_probe_answer *a = probe(f, "fgsm", "eps=0.5 norm=l2");
    const struct sal_figure_panel *change = &f->sheet.figure.panel[2];
    assert_int_equal(a->planes, 3);
    assert_string_equal(change->unit, "levels of 255, largest channel");
    float most = 0;
    for (int i = 0; i < 3 * PIXELS; i++)
        most = fabsf(f->w[i]) > most ? fabsf(f->w[i]) : most;
    for (int i = 0; i < PIXELS; i++) {
        float w = 0;
        for (int c = 0; c < 3; c++)
            w = fabsf(f->w[c * PIXELS + i]) > fabsf(w) ? f->w[c * PIXELS + i] : w;
        uint8_t rgb[3];
        sal_colormap_at(change->colormap, 0.5 - 0.5 * (double)(w / most), rgb);
        assert_rgb(change->picture->rgb + 3 * i, rgb[0], rgb[1], rgb[2], 6);
        assert_rgb(f->sheet.figure.panel[0].picture->rgb + 3 * i, f->levels[3 * i],
                   f->levels[3 * i + 1], f->levels[3 * i + 2], 0);
    }
}

/* Half of a pixel is the map's colour, in a range that both maps share. */
static void assert_map_panel(const struct fixture *f, int panel, const struct sal_map *map,
                             struct sal_range range)
{
    const struct sal_figure_panel *shown = &f->sheet.figure.panel[panel];
    assert_true(fabs(shown->range.low - range.low) <= 1e-6 * range.high);
    assert_true(fabs(shown->range.high - range.high) <= 1e-6 * range.high);
    assert_string_equal(shown->unit, map->unit);
    for (int i = 0; i < PIXELS; i++) {
        uint8_t rgb[3];
        double at = ((double)map->values[i] - range.low) / (range.high - range.low);
        int given = f->sheet.figure.panel[panel - 3].picture->rgb[3 * i];
        sal_colormap_at(shown->colormap, fmin(fmax(at, 0), 1), rgb);
        assert_rgb(shown->picture->rgb + 3 * i, (rgb[0] + given) / 2, (rgb[1] + given) / 2,
                   (rgb[2] + given) / 2, 6);
    }
}

static void maps_before_and_after_are_panels_in_the_same_colours(void **state)
{
    struct fixture *f = *state;
    probe_beside(f, "fgsm", "eps=60/255", "inputxgradient");
    const struct sal_figure *figure = &f->sheet.figure;
    const struct sal_stability *maps = sal_session_case(f->session)->probed->stability;
    assert_in_range(figure->n_panels, 5, 6);
    assert_true(figure->panel[3].new_row && !figure->panel[4].new_row);
    assert_string_equal(figure->panel[3].label, "Input x gradient before");
    assert_string_equal(figure->panel[4].label, "Input x gradient after");
    const struct sal_view view = {0};
    struct sal_range a = sal_view_range(&view, &maps->before);
    struct sal_range b = sal_view_range(&view, &maps->after);
    assert_true(fabs(a.high - b.high) > 1e-3);
    struct sal_range both = {fmin(a.low, b.low), fmax(a.high, b.high)};
    assert_map_panel(f, 3, &maps->before, both);
    assert_map_panel(f, 4, &maps->after, both);
    assert_says(f, "Input x gradient before and after: ");
}

static void where_nothing_is_altered_there_are_no_maps(void **state)
{
    struct fixture *f = *state;
    probe_beside(f, "fgsm", "eps=0", "gradient");
    assert_int_equal(f->sheet.figure.n_panels, 1);
}

static void a_curve_is_a_panel_below_the_pictures(void **state)
{
    struct fixture *f = *state;
    probe(f, "curve", "points=3 steps=2 samples=3 max=32/255");
    const struct sal_figure *figure = &f->sheet.figure;
    assert_int_equal(figure->n_panels, 4);
    assert_ptr_equal(figure->panel[3].plot, &f->sheet.plot.plot);
    assert_true(figure->panel[3].new_row);
    assert_string_equal(figure->panel[3].label, "Score against eps");
    assert_says(f, "is the worst that was found within its eps");
}

static void where_nothing_is_found_the_image_stands_beside_the_plot(void **state)
{
    struct fixture *f = *state;
    const struct sal_probe_answer *a = probe(f, "pgd", "eps=0.01/255 steps=5");
    const struct sal_figure *figure = &f->sheet.figure;
    assert_false(a->flipped);
    assert_int_equal(figure->n_panels, 2);
    assert_non_null(figure->panel[0].picture);
    assert_non_null(figure->panel[1].plot);
    assert_false(figure->panel[1].new_row);
    assert_says(f, "no change was found");
    assert_says(f, "does not show that there is none");
    assert_false(says(f, "After:"));
}

static void the_caption_lists_what_was_asked_and_found(void **state)
{
    struct fixture *f = *state;
    const struct sal_probe_answer *a = probe(f, "fgsm", "eps=20/255 control=5");
    char passes[80];
    snprintf(passes, sizeof(passes), "seed 7; %ld passes forward, %ld back", a->forwards,
             a->backwards);
    assert_string_equal(f->sheet.title, "Fast gradient sign method: nodule");
    assert_says(f, "To hide class 0 (nodule)");
    assert_says(f, "the decision changes");
    assert_says(f, "Before: f 0.905");
    assert_says(f, "After: f -");
    assert_says(f, "Allowed: linf 0.07843 (20 of 255 levels)");
    assert_says(f, "Change: linf 0.07843 (20 of 255 levels), l2 0.6275, 64 of 64 pixels; the "
                   "flip survives rounding to levels");
    assert_says(f, "Noise of linf 0.07843 (20 of 255 levels): ");
    assert_says(f, "Probe: fgsm (eps=20/255");
    assert_says(f, passes);
    assert_says(f, "Model: tiny");
    assert_says(f, "is an upper bound");
    assert_says(f, "no recording of anything");
}

/* Each trial is told once and whole, over as many lines as it takes, and what must not be read
 * into a figure is still there. */
static void trials_that_are_no_curve_are_words(void **state)
{
    struct fixture *f = *state;
    const struct sal_case *held = sal_session_case(f->session);
    probe(f, "fgsm", "eps=20/255");
    struct sal_probe_answer *a = &held->probed->answer;
    enum { MANY = 40 };
    a->trials = calloc(MANY, sizeof(*a->trials));
    a->n_trials = MANY;
    for (int i = 0; i < MANY; i++) {
        a->trials[i] = (struct sal_trial){
            .name = "place", .score = i / 100.0, .draws = i % 3, .flips = i % 2};
        snprintf(a->trials[i].title, sizeof(a->trials[i].title), "region at place %d", i);
    }
    const struct sal_view view = {0};
    const struct sal_writing writing = {f->session, held, &view, SAL_AT_INPUT};
    struct sal_sheet sheet = {0};
    assert_int_equal(sal_sheet_fill_probe(&sheet, &writing, NULL), SAL_OK);
    char all[8000] = "";
    for (int i = 0; i < sheet.n_lines; i++)
        strcat(strcat(all, sheet.line[i]), "; ");
    assert_non_null(strstr(all, "Scores of what was tried: region at place 0: 0; "));
    for (int i = 0; i < MANY; i++) {
        char text[80];
        snprintf(text, sizeof(text), "region at place %d: %.3g%s; ", i, i / 100.0,
                 i % 3 == 2 ? (i % 2 ? " (1 of 2 flip)" : " (0 of 2 flip)")
                 : i % 2    ? " (flips)"
                            : "");
        assert_non_null(strstr(all, text));
    }
    assert_non_null(strstr(all, "no recording of anything"));
    for (int i = 0; i < SAL_FIGURE_PANELS_MAX; i++)
        sal_picture_release(&sheet.picture[i]);
    sal_probe_plot_release(&sheet.plot);
}

static void figures_are_written_by_the_longest_extension(void **state)
{
    struct fixture *f = *state;
    probe(f, "fgsm", "eps=20/255");
    static const char *const names[] = {"a.png", "a.figure.png", "a.FIGURE.PNG"};
    for (int i = 0; i < 3; i++) {
        struct sal_image image;
        char path[PATH_SIZE];
        snprintf(path, PATH_SIZE, "%s/%s", f->folder, names[i]);
        assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, NULL), SAL_OK);
        assert_int_equal(sal_image_load(&image, path, SAL_SANDBOX_OFF, NULL), SAL_OK);
        assert_int_equal(image.bits, i ? 8 : 16);
        assert_int_equal(image.width, i ? 2102 : SIDE);
        sal_image_release(&image);
    }
    assert_ptr_equal(sal_writer_find("x.figure.png.pdf", NULL), sal_writer_find("x.pdf", NULL));
    assert_ptr_equal(sal_writer_find("figure.png", NULL), sal_writer_find("x.png", NULL));
}

/* ---- plots ---------------------------------------------------------------------------------- */

/* An answer of numbers only. */
static double eps[] = {1 / 255.0, 2 / 255.0, 4 / 255.0}, scores[] = {0.9, 0.45, 0.2},
              fs[] = {2, 0.2, -1}, mean[] = {0.92, 0.91, 0.9}, low[] = {0.9, 0.88, 0.8},
              high[] = {0.95, 0.95, 0.97}, passes[] = {3, 10, 40}, found[] = {0.2, 0.1, 0.02};
static sal_real before = 2;

static struct sal_probe_answer measured(enum sal_norm norm)
{
    return (struct sal_probe_answer){
        .goal = SAL_GOAL_HIDE,
        .planes = 1,
        .height = SIDE,
        .width = SIDE,
        .before = &before,
        .n_logits = 1,
        .norm = norm,
        .eps = (double)NAN,
        .bracket = {(double)NAN, (double)NAN},
        .forwards = 30,
        .backwards = 20,
        .series = {{"trajectory", "", 3, passes, found},
                   {"attack", "", 3, eps, scores},
                   {"attack_f", "", 3, eps, fs},
                   {"noise", "", 3, eps, mean},
                   {"noise_low", "", 3, eps, low},
                   {"noise_high", "", 3, eps, high}},
        .n_series = 6,
    };
}

static void plot_of(const struct fixture *f, const struct sal_probe_answer *a,
                    enum sal_probe_plot_kind kind, unsigned white, struct sal_probe_plot *plot)
{
    assert_int_equal(sal_probe_plot_next(a, kind), kind);
    assert_int_equal(sal_probe_plot_of(a, kind, sal_session_model(f->session), 0, white, plot,
                                       NULL),
                     SAL_OK);
}

static void assert_line(const struct sal_plot_line *line, const char *name, double at)
{
    assert_string_equal(line->name, name);
    if (!(fabs(line->at - at) <= 1e-9))
        fail_msg("%s: at %g, expected %g", name, line->at, at);
}

static void a_curve_is_plotted_in_levels_and_unit_intensity(void **state)
{
    struct fixture *f = *state;
    struct sal_probe_answer a = measured(SAL_LINF);
    struct sal_probe_plot made;
    const struct sal_plot *plot = &made.plot;
    plot_of(f, &a, SAL_PROBE_CURVE, 255, &made);
    assert_string_equal(plot->curve[0].name, "attack");
    assert_ptr_equal(plot->curve[0].y, scores);
    assert_string_equal(plot->curve[1].name, "noise, mean");
    assert_ptr_equal(plot->curve[1].y, mean);
    assert_ptr_equal(plot->band.low, low);
    assert_ptr_equal(plot->band.high, high);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(plot->curve[0].x[i] - (1 << i)) <= 1e-12);
    assert_true(plot->x.log2 && fabs(plot->x.second - 1 / 255.0) <= 1e-15);
    assert_string_equal(plot->x.title, "eps (linf): levels of 255");
    assert_string_equal(plot->x.second_title, "unit intensity");
    assert_string_equal(plot->y.title, "probability of nodule");
    assert_true(plot->y.range.low == 0 && plot->y.range.high == 1);
    assert_line(&plot->level[0], "as given 88.08 %", 1 / (1 + exp(-2)));
    assert_line(&plot->level[1], "threshold 0.4", 0.4);
    assert_line(&plot->mark[0], "flips within: linf 4 levels (0.0157)", 4);
    sal_probe_plot_release(&made);
}

static void the_flip_that_was_searched_is_marked(void **state)
{
    struct fixture *f = *state;
    struct sal_probe_answer a = measured(SAL_LINF);
    struct sal_probe_plot made;
    a.flipped = true;
    a.bracket[1] = 3 / 65535.0;
    plot_of(f, &a, SAL_PROBE_CURVE, 65535, &made);
    assert_line(&made.plot.mark[0], "flips at: linf 3 levels (4.58e-05)", 3);
    sal_probe_plot_release(&made);
}

/* 8 x 8 pixels: an l2 of 1 is a root mean square of 1/8. */
static void in_l2_levels_are_root_mean_squares(void **state)
{
    struct fixture *f = *state;
    struct sal_probe_answer a = measured(SAL_L2);
    struct sal_probe_plot made;
    plot_of(f, &a, SAL_PROBE_CURVE, 255, &made);
    assert_true(made.plot.curve[0].x[2] == eps[2]);
    assert_true(fabs(made.plot.x.second - 255.0 / 8) <= 1e-12);
    assert_string_equal(made.plot.x.title, "eps (l2): unit intensity");
    assert_string_equal(made.plot.x.second_title, "rms levels of 255");
    assert_line(&made.plot.mark[0], "flips within: l2 0.0157 (rms 0.5 levels)", eps[2]);
    sal_probe_plot_release(&made);
}

static void a_trail_ends_where_the_search_did(void **state)
{
    struct fixture *f = *state;
    struct sal_probe_answer a = measured(SAL_LINF);
    struct sal_probe_plot made;
    plot_of(f, &a, SAL_PROBE_TRAIL, 255, &made);
    const struct sal_plot_curve *curve = &made.plot.curve[0];
    assert_int_equal(curve->n, 4);
    assert_true(curve->steps);
    assert_true(curve->x[3] == 50 && fabs(curve->y[3] - 0.02 * 255) <= 1e-12);
    assert_string_equal(made.plot.title, "Smallest flip so far");
    assert_true(made.plot.y.log2); /* ten times in all */
    sal_probe_plot_release(&made);
    a.eps = 0.1;
    a.goal = SAL_GOAL_CREATE;
    plot_of(f, &a, SAL_PROBE_TRAIL, 255, &made);
    assert_string_equal(made.plot.title, "Nearest to a flip so far");
    assert_string_equal(made.plot.y.title, "−f of nodule");
    assert_true(made.plot.curve[0].y[3] == 0.02 && !made.plot.y.log2);
    assert_line(&made.plot.level[0], "the decision changes below 0", 0);
    sal_probe_plot_release(&made);
}

/* Two ways of one thing, something that was tried once, and another with a trial between its
 * severities that has none. */
static void severities_are_curves_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct sal_trial trials[] = {
        {.name = "contrast", .title = "contrast lower 0.9, severity 1",
         .severity = 1, .score = 0.8, .f = 1},
        {.name = "contrast", .title = "contrast lower 0.7, severity 2",
         .severity = 2, .score = 0.7, .f = 0.5},
        {.name = "contrast", .title = "contrast higher 1.1, severity 1",
         .severity = 1, .score = 0.9, .f = 2},
        {.name = "contrast", .title = "contrast higher 1.3, severity 2",
         .severity = 2, .score = 0.95, .f = 3},
        {.name = "once", .title = "once 5, severity 3",
         .severity = 3, .score = 0.1, .f = -5},
        {.name = "gamma", .title = "gamma 0.9",
         .severity = 2, .score = 0.6, .f = 0.3},
        {.name = "gamma", .title = "gamma from 0.85",
         .severity = 0, .score = 0.4, .f = 0},
        {.name = "gamma", .title = "gamma 0.8",
         .severity = 4, .score = 0.3, .f = -1},
    };
    static const int order[] = {2, 0, 1}; /* gamma goes furthest, then the lower contrast */
    static const char *const names[] = {"contrast lower", "contrast higher", "gamma"};
    static const double ends[][4] = {{1, 0.8, 2, 0.7}, {1, 0.9, 2, 0.95}, {2, 0.6, 4, 0.3}};
    struct sal_probe_answer a = measured(SAL_LINF);
    struct sal_probe_plot made;
    a.n_series = 1; /* the trail, which says nothing here */
    a.trials = trials;
    a.n_trials = sizeof(trials) / sizeof(*trials);
    plot_of(f, &a, SAL_PROBE_SEVERITY, 255, &made);
    for (int i = 0; i < 3; i++) {
        const struct sal_plot_curve *curve = &made.plot.curve[i];
        const int k = order[i];
        assert_string_equal(curve->name, names[k]);
        assert_int_equal(curve->n, 2);
        for (int end = 0; end < 2; end++)
            assert_true(curve->x[end] == ends[k][2 * end] && curve->y[end] == ends[k][2 * end + 1]);
    }
    assert_int_equal(made.plot.curve[3].n, 0);
    assert_line(&made.plot.level[1], "threshold 0.4", 0.4);
    sal_probe_plot_release(&made);
    assert_int_equal(sal_probe_plot_next(&a, SAL_PROBE_TRAIL), SAL_PROBE_PLOTS);
}

static void of_many_things_those_that_go_furthest_are_drawn(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 9 };
    struct sal_trial trials[2 * MANY];
    char names[MANY][8];
    for (int i = 0; i < 2 * MANY; i++) {
        snprintf(names[i / 2], sizeof(names[0]), "k%d", i / 2);
        trials[i] = (struct sal_trial){.name = names[i / 2], .severity = 1 + i % 2, .f = i / 2};
        snprintf(trials[i].title, sizeof(trials[i].title), "k%d x%d", i / 2, i % 2);
    }
    struct sal_probe_answer a = measured(SAL_LINF);
    struct sal_probe_plot made;
    a.n_series = 0;
    a.trials = trials;
    a.n_trials = 2 * MANY;
    for (int create = 0; create < 2; create++) {
        a.goal = create ? SAL_GOAL_CREATE : SAL_GOAL_HIDE;
        plot_of(f, &a, SAL_PROBE_SEVERITY, 255, &made);
        for (int i = 0; i < SAL_PLOT_CURVES; i++)
            assert_string_equal(made.plot.curve[i].name, names[create ? MANY - 1 - i : i]);
        sal_probe_plot_release(&made);
    }
}

static void a_setting_is_an_axis_with_its_unit(void **state)
{
    struct fixture *f = *state;
    struct sal_trial trials[] = {{.name = "rotate", .title = "rotate 5", .unit = "degrees"}};
    double settings[] = {-10, 0, 10};
    struct sal_probe_answer a = measured(SAL_LINF);
    struct sal_probe_plot made;
    a.series[1] = (struct sal_series){"setting", "", 3, settings, scores};
    a.n_series = 2;
    a.trials = trials;
    a.n_trials = 1;
    plot_of(f, &a, SAL_PROBE_SETTING, 255, &made);
    assert_string_equal(made.plot.x.title, "rotate, degrees");
    assert_ptr_equal(made.plot.curve[0].x, settings);
    assert_ptr_equal(made.plot.curve[0].y, scores);
    assert_int_equal(made.plot.curve[1].n, 0);
    sal_probe_plot_release(&made);
}

static void an_answer_without_points_has_no_plot(void **state)
{
    (void)state;
    struct sal_probe_answer a = measured(SAL_LINF);
    assert_int_equal(sal_probe_plot_next(&a, SAL_PROBE_CURVE), SAL_PROBE_CURVE);
    a.n_series = 1;
    assert_int_equal(sal_probe_plot_next(&a, SAL_PROBE_CURVE), SAL_PROBE_TRAIL);
    a.series[0].n = 1;
    assert_int_equal(sal_probe_plot_next(&a, SAL_PROBE_CURVE), SAL_PROBE_PLOTS);
}

#define GREY(test) cmocka_unit_test_setup_teardown(test, open_grey, close_fixture)
#define COLOUR(test) cmocka_unit_test_setup_teardown(test, open_colour, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GREY(panels_are_the_image_the_altered_picture_and_the_change),
        COLOUR(of_colour_the_largest_change_is_shown),
        GREY(maps_before_and_after_are_panels_in_the_same_colours),
        GREY(where_nothing_is_altered_there_are_no_maps),
        GREY(a_curve_is_a_panel_below_the_pictures),
        GREY(where_nothing_is_found_the_image_stands_beside_the_plot),
        GREY(the_caption_lists_what_was_asked_and_found),
        GREY(trials_that_are_no_curve_are_words),
        GREY(figures_are_written_by_the_longest_extension),
        GREY(a_curve_is_plotted_in_levels_and_unit_intensity),
        GREY(the_flip_that_was_searched_is_marked),
        GREY(in_l2_levels_are_root_mean_squares),
        GREY(a_trail_ends_where_the_search_did),
        GREY(severities_are_curves_of_their_own),
        GREY(of_many_things_those_that_go_furthest_are_drawn),
        GREY(a_setting_is_an_axis_with_its_unit),
        cmocka_unit_test(an_answer_without_points_has_no_plot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
