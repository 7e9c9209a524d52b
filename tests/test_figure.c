#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "figure_layout.h"
#include "figure_svg.h"
#include "figure_text.h"
#include "saliscope/figure.h"
#include "saliscope/image.h"

enum { WIDTH = 48, HEIGHT = 32 };

/* A grey picture, the same with red over it, and a figure of both. */
struct fixture {
    struct sal_picture image, overlay;
    struct sal_figure figure;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f || sal_picture_init(&f->image, WIDTH, HEIGHT, NULL) ||
        sal_picture_init(&f->overlay, WIDTH, HEIGHT, NULL))
        return -1;
    memset(f->image.rgb, 90, 3 * WIDTH * HEIGHT);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        f->overlay.rgb[3 * i] = 200;
    f->figure = (struct sal_figure){
        .panel = {{.picture = &f->image, .label = "image"},
                  {.picture = &f->overlay,
                   .label = "explanation",
                   .colormap = sal_colormap_default(false),
                   .range = {0, 2.5},
                   .unit = "logit"}},
        .n_panels = 2,
        .title = "A title",
        .caption = {"First line.", "Second line."},
    };
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    sal_picture_release(&f->image);
    sal_picture_release(&f->overlay);
    free(f);
    return 0;
}

/* A layout, with what it stands on. */
struct measured {
    struct sal_arena arena;
    cairo_surface_t *surface;
    cairo_t *cr;
    struct sal_layout layout;
};

static struct measured measure(const struct sal_figure *figure)
{
    struct measured m = {0};
    m.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    m.cr = cairo_create(m.surface);
    assert_int_equal(sal_layout_of(&m.layout, figure, m.cr, &m.arena, NULL), SAL_OK);
    return m;
}

static void forget(struct measured *m)
{
    cairo_destroy(m->cr);
    cairo_surface_destroy(m->surface);
    sal_arena_release(&m->arena);
}

static struct sal_image png_of(const struct sal_figure *figure)
{
    struct sal_image image = {0};
    struct sal_error err = {0};
    if (sal_figure_png(figure, &image, &err))
        fail_msg("%s", err.text);
    return image;
}

/* The pixel at a place given in points, of a figure at 300 dpi. */
static const uint16_t *pixel(const struct sal_image *image, double x, double y)
{
    int px = (int)(x * 300 / 72), py = (int)(y * 300 / 72);
    assert_in_range(px, 0, image->width - 1);
    assert_in_range(py, 0, image->height - 1);
    return image->samples + 3 * ((size_t)py * (size_t)image->width + (size_t)px);
}

static void assert_near(const uint16_t *pixel, int r, int g, int b, int tolerance)
{
    int expected[3] = {r, g, b};
    for (int c = 0; c < 3; c++)
        if (!(abs(pixel[c] - expected[c]) <= tolerance))
            fail_msg("pixel %d %d %d, expected %d %d %d", pixel[0], pixel[1], pixel[2], r,
                     g, b);
}

static void png_is_178_mm_wide_at_300_dpi(void **state)
{
    struct fixture *f = *state;
    struct sal_image image = png_of(&f->figure);
    assert_int_equal(image.width, 2102);
    assert_int_equal(image.channels, 3);
    assert_int_equal(image.bits, 8);
    struct measured m = measure(&f->figure);
    assert_int_equal(image.height, lround(m.layout.height * 300 / 72));
    forget(&m);
    sal_image_release(&image);
    f->figure.width_mm = 85;
    f->figure.dpi = 100;
    image = png_of(&f->figure);
    assert_int_equal(image.width, 335);
    sal_image_release(&image);
}

static void panels_show_their_pictures(void **state)
{
    struct fixture *f = *state;
    struct sal_image image = png_of(&f->figure);
    struct measured m = measure(&f->figure);
    for (int i = 0; i < 9; i++) {
        double u = 0.02 + i % 3 * 0.48, v = 0.02 + i / 3 * 0.48;
        struct sal_box a = m.layout.panel[0].box, b = m.layout.panel[1].box;
        assert_near(pixel(&image, a.x + u * a.width, a.y + v * a.height), 90, 90, 90, 0);
        assert_near(pixel(&image, b.x + u * b.width, b.y + v * b.height), 200, 0, 0, 0);
    }
    assert_near(pixel(&image, 2, 2), 255, 255, 255, 0);
    forget(&m);
    sal_image_release(&image);
}

static void panels_keep_the_shape_of_the_image(void **state)
{
    struct fixture *f = *state;
    static const int size[][2] = {{48, 32}, {32, 48}, {4, 384}, {384, 4}, {1, 1}};
    for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
        struct sal_picture shaped = {size[i][0], size[i][1], f->image.rgb};
        f->figure.panel[0].picture = f->figure.panel[1].picture = &shaped;
        struct measured m = measure(&f->figure);
        struct sal_box a = m.layout.panel[0].box, b = m.layout.panel[1].box;
        struct sal_box bar = m.layout.panel[1].bar;
        assert_true(fabs(a.width * shaped.height - a.height * shaped.width) < 1e-6);
        assert_true(a.x >= 0 && a.x + a.width < b.x && b.x + b.width < bar.x);
        assert_true(bar.height >= 60 && m.layout.caption_y > bar.y + bar.height);
        forget(&m);
        struct sal_image image = png_of(&f->figure);
        sal_image_release(&image);
    }
}

static void tiny_images_have_sharp_pixels(void **state)
{
    struct fixture *f = *state;
    uint8_t rgb[2 * 2 * 3] = {0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0};
    struct sal_picture tiny = {2, 2, rgb};
    f->figure.panel[0].picture = f->figure.panel[1].picture = &tiny;
    struct sal_image image = png_of(&f->figure);
    struct measured m = measure(&f->figure);
    struct sal_box a = m.layout.panel[0].box;
    double middle = a.x + a.width / 2, y = a.y + a.height / 4;
    assert_near(pixel(&image, middle - 0.5, y), 0, 0, 0, 0);
    assert_near(pixel(&image, middle + 0.5, y), 255, 255, 255, 0);
    forget(&m);
    sal_image_release(&image);
}

/* Every dot of a small chequerboard is black or white, nothing between. */
static void small_images_are_not_blurred(void **state)
{
    struct fixture *f = *state;
    static uint8_t rgb[90 * 60 * 3];
    for (int i = 0; i < 90 * 60; i++)
        memset(rgb + 3 * i, (i % 90 + i / 90) % 2 ? 255 : 0, 3);
    struct sal_picture board = {90, 60, rgb};
    f->figure.panel[0].picture = f->figure.panel[1].picture = &board;
    struct sal_image image = png_of(&f->figure);
    struct measured m = measure(&f->figure);
    struct sal_box a = m.layout.panel[0].box;
    for (double x = a.x + 1; x < a.x + a.width - 1; x += 0.24) {
        int v = pixel(&image, x, a.y + a.height / 3)[0];
        assert_true(v == 0 || v == 255);
    }
    forget(&m);
    sal_image_release(&image);
}

static void large_images_do_not_fade_at_their_edges(void **state)
{
    struct fixture *f = *state;
    static uint8_t rgb[160 * 120 * 3];
    memset(rgb, 90, sizeof(rgb));
    struct sal_picture flat = {160, 120, rgb};
    f->figure.panel[0].picture = f->figure.panel[1].picture = &flat;
    struct sal_image image = png_of(&f->figure);
    struct measured m = measure(&f->figure);
    struct sal_box a = m.layout.panel[0].box;
    for (double d = 0.5; d < 2; d += 0.24) {
        assert_near(pixel(&image, a.x + d, a.y + a.height / 2), 90, 90, 90, 0);
        assert_near(pixel(&image, a.x + a.width / 2, a.y + a.height - d), 90, 90, 90, 0);
    }
    forget(&m);
    sal_image_release(&image);
}

static void bar_runs_from_low_to_high(void **state)
{
    struct fixture *f = *state;
    struct sal_image image = png_of(&f->figure);
    struct measured m = measure(&f->figure);
    struct sal_box bar = m.layout.panel[1].bar;
    for (int i = 2; i <= 98; i++) {
        uint8_t rgb[3];
        sal_colormap_at(f->figure.panel[1].colormap, i / 100.0, rgb);
        double y = bar.y + bar.height * (1 - i / 100.0);
        assert_near(pixel(&image, bar.x + bar.width / 2, y), rgb[0], rgb[1], rgb[2], 6);
    }
    forget(&m);
    sal_image_release(&image);
}

static void signed_bar_has_zero_in_the_middle_colour(void **state)
{
    struct fixture *f = *state;
    f->figure.panel[1].colormap = sal_colormap_default(true);
    f->figure.panel[1].range = (struct sal_range){-1, 3};
    struct sal_image image = png_of(&f->figure);
    struct measured m = measure(&f->figure);
    struct sal_box bar = m.layout.panel[1].bar;
    assert_near(pixel(&image, bar.x + 4, bar.y + bar.height * 0.75), 247, 246, 246, 4);
    assert_near(pixel(&image, bar.x + 4, bar.y + 1), 0x67, 0, 0x1f, 6);
    forget(&m);
    sal_image_release(&image);
}

static void assert_ticks(double low, double high, const char *expected)
{
    struct sal_ticks ticks = sal_ticks_of((struct sal_range){low, high});
    char text[256] = "", unit[64];
    for (int i = 0; i < ticks.n; i++) {
        strcat(text, ticks.label[i]);
        strcat(text, " ");
    }
    sal_ticks_unit(&ticks, "u", unit, sizeof(unit));
    strcat(text, unit);
    assert_string_equal(text, expected);
}

static void ticks_name_both_ends_and_the_unit(void **state)
{
    (void)state;
    assert_ticks(0, 1, "0.00 0.25 0.50 0.75 1.00 u");
    assert_ticks(0, 2.05, "0.00 0.51 1.02 1.54 2.05 u");
    assert_ticks(-4, 4, "−4.00 −2.00 0.00 2.00 4.00 u");
    assert_ticks(0, 255, "0 64 128 191 255 u");
    assert_ticks(0, 2.5e-5, "0.00 0.63 1.25 1.88 2.50 ×10⁻⁵ u");
    assert_ticks(-1e12, 0, "−1.00 −0.75 −0.50 −0.25 0.00 ×10¹² u");
    assert_ticks(100, 100.001, "100.00000 100.00025 100.00050 100.00075 100.00100 u");
    assert_ticks(0, 0, "0.00 u");
}

static void ends_that_stand_for_more_say_so(void **state)
{
    (void)state;
    struct sal_ticks ticks = sal_ticks_of((struct sal_range){-4, 4});
    sal_ticks_mark(&ticks, false, true);
    assert_string_equal(ticks.label[0], "−4.00");
    assert_string_equal(ticks.label[SAL_TICKS - 1], "≥ 4.00");
    sal_ticks_mark(&ticks, true, false);
    assert_string_equal(ticks.label[0], "≤ −4.00");
    assert_string_equal(ticks.label[1], "−2.00");
}

static void extreme_ranges_are_drawn(void **state)
{
    struct fixture *f = *state;
    static const struct sal_range ranges[] = {
        {-3e38, 3e38}, {0, 1e-45}, {0, 0}, {5, -5}, {1, 1.0000000001}};
    f->figure.dpi = 72;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        f->figure.panel[1].range = ranges[i];
        struct sal_image image = png_of(&f->figure);
        sal_image_release(&image);
    }
}

/* Texts are as wide as they may be, never wider, and nothing is lost but what the
 * ellipsis stands for. */
static void captions_wrap_inside_the_page(void **state)
{
    struct fixture *f = *state;
    char longest[3000];
    for (size_t i = 0; i + 1 < sizeof(longest); i++)
        longest[i] = i % 7 == 6 ? ' ' : (char)('a' + i % 26);
    longest[sizeof(longest) - 1] = '\0';
    char unbroken[400];
    memset(unbroken, 'W', sizeof(unbroken) - 1);
    unbroken[sizeof(unbroken) - 1] = '\0';
    f->figure.caption[0] = longest;
    f->figure.caption[1] = unbroken;
    f->figure.title = longest;
    f->figure.panel[1].unit = longest;
    struct measured m = measure(&f->figure);
    assert_int_equal(m.layout.n_captions, 2 * SAL_FIGURE_WRAP_MAX);
    for (int i = 0; i < m.layout.n_captions; i++) {
        double width = sal_figure_text_width(m.cr, m.layout.caption[i]);
        assert_true(width > 0.85 * m.layout.width);
        assert_true(width <= m.layout.width - 2 * m.layout.margin);
    }
    assert_non_null(strstr(m.layout.caption[SAL_FIGURE_WRAP_MAX - 1], "…"));
    assert_non_null(strstr(m.layout.title, "…"));
    const struct sal_panel_layout *panel = &m.layout.panel[1];
    assert_true(sal_figure_text_width(m.cr, panel->unit) <= panel->bar.height);
    assert_true(m.layout.caption_y + m.layout.n_captions * m.layout.line <
                m.layout.height);
    forget(&m);
}

static void wrapping_loses_no_word(void **state)
{
    struct fixture *f = *state;
    const char *text = "the quick brown fox jumps over the lazy dog";
    struct measured m = measure(&f->figure);
    const char *lines[8];
    char joined[128] = "";
    int n = sal_figure_wrap(m.cr, &m.arena, text, 60, 8, lines);
    assert_in_range(n, 3, 7);
    for (int i = 0; i < n; i++) {
        strcat(joined, i ? " " : "");
        strcat(joined, lines[i]);
    }
    assert_string_equal(joined, text);
    assert_int_equal(sal_figure_wrap(m.cr, &m.arena, "", 60, 8, lines), 1);
    assert_int_equal(sal_figure_wrap(m.cr, &m.arena, "WÄÄÄ", 0, 8, lines), 4);
    assert_string_equal(lines[1], "Ä");
    forget(&m);
}

static void hostile_text_is_cleaned(void **state)
{
    struct fixture *f = *state;
    f->figure.title = "\x1b[31mred\xff\xfe \xe2\x80\xae""evil <&\">";
    f->figure.panel[1].unit = "\n\t\x07";
    f->figure.caption[0] = "</svg><script>alert(1)</script> %s%n \xf0\x9f\x98";
    f->figure.caption[1] = "";
    struct measured m = measure(&f->figure);
    assert_string_equal(m.layout.title, "\xEF\xBF\xBD[31mred\xEF\xBF\xBD\xEF\xBF\xBD "
                                        "\xEF\xBF\xBD""evil <&\">");
    forget(&m);
    struct sal_image image = png_of(&f->figure);
    sal_image_release(&image);
    struct sal_buffer svg = {0}, pdf = {0};
    assert_int_equal(sal_figure_svg(&f->figure, &svg, NULL), SAL_OK);
    assert_int_equal(sal_figure_pdf(&f->figure, &pdf, NULL), SAL_OK);
    assert_null(memmem(svg.data, svg.size, "<script", 7));
    sal_buffer_release(&svg);
    sal_buffer_release(&pdf);
}

static bool holds(const struct sal_buffer *buffer, const char *text)
{
    return memmem(buffer->data, buffer->size, text, strlen(text)) != NULL;
}

static void pdf_embeds_its_fonts(void **state)
{
    struct fixture *f = *state;
    struct sal_buffer pdf = {0};
    assert_int_equal(sal_figure_pdf(&f->figure, &pdf, NULL), SAL_OK);
    assert_memory_equal(pdf.data, "%PDF-", 5);
    assert_true(holds(&pdf, "/FontFile"));
    assert_true(holds(&pdf, "%%EOF"));
    assert_true(holds(&pdf, "/Title (A title)"));
    sal_buffer_release(&pdf);
}

static void pdf_opens_in_another_reader(void **state)
{
    struct fixture *f = *state;
    if (system("command -v pdftotext >/dev/null 2>&1")) {
        print_message("skip: pdftotext is not there\n");
        skip();
    }
    char path[] = "/tmp/saliscope-figure-XXXXXX", command[128], text[4096] = "";
    struct sal_buffer pdf = {0};
    assert_int_equal(sal_figure_pdf(&f->figure, &pdf, NULL), SAL_OK);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, pdf.data, pdf.size) == (ssize_t)pdf.size);
    close(fd);
    snprintf(command, sizeof(command), "pdftotext %s -", path);
    FILE *reader = popen(command, "r");
    assert_non_null(reader);
    size_t size = fread(text, 1, sizeof(text) - 1, reader);
    text[size] = '\0';
    assert_int_equal(pclose(reader), 0);
    unlink(path);
    assert_non_null(strstr(text, "A title"));
    assert_non_null(strstr(text, "Second line."));
    assert_non_null(strstr(text, "2.50"));
    sal_buffer_release(&pdf);
}

/* Every element that opens closes, in order; attributes are quoted. */
static void assert_well_formed(const struct sal_buffer *svg)
{
    char open[64][32];
    int depth = 0, elements = 0;
    const char *p = (const char *)svg->data, *end = p + svg->size;
    while ((p = memchr(p, '<', (size_t)(end - p)))) {
        const char *close = memchr(p, '>', (size_t)(end - p));
        assert_non_null(close);
        char name[32] = "";
        size_t letters = strspn(p + 1, "?/abcdefghijklmnopqrstuvwxyz");
        memcpy(name, p + 1, letters < 31 ? letters : 31);
        if (name[0] == '/') {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name + 1);
        } else if (name[0] != '?' && close[-1] != '/') {
            assert_in_range(depth, 0, 63);
            strcpy(open[depth++], name);
        }
        elements++;
        p = close;
    }
    assert_int_equal(depth, 0);
    assert_true(elements > 20);
}

static void svg_is_well_formed_with_its_pictures_inside(void **state)
{
    struct fixture *f = *state;
    struct sal_buffer svg = {0};
    assert_int_equal(sal_figure_svg(&f->figure, &svg, NULL), SAL_OK);
    assert_well_formed(&svg);
    assert_true(holds(&svg, "data:image/png;base64,"));
    assert_true(holds(&svg, "width=\"504.566929pt\""));
    assert_true(holds(&svg, "width=\"480\" height=\"320\"")); /* 10 times, sharp */
    sal_buffer_release(&svg);
}

static void renumbering_follows_every_reference(void **state)
{
    (void)state;
    char text[] = "<a id=\"image17\"/><b x=\"#image9\"/><c y=\"url(#clip3)\"/>"
                  "<d id=\"image9\"/><e x=\"#image17\"/><f id=\"glyph0-1\"/>#image17";
    struct sal_buffer svg = {(uint8_t *)text, strlen(text), sizeof(text), false};
    struct sal_buffer out = {0};
    sal_svg_renumber(&svg, &out);
    sal_buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data,
                        "<a id=\"image1\"/><b x=\"#image2\"/><c y=\"url(#clip3)\"/>"
                        "<d id=\"image2\"/><e x=\"#image1\"/><f id=\"glyph0-1\"/>#image17");
    sal_buffer_release(&out);
}

static void the_same_figure_is_the_same_file(void **state)
{
    struct fixture *f = *state;
    struct sal_buffer pdf[2] = {0}, svg[2] = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sal_figure_pdf(&f->figure, &pdf[i], NULL), SAL_OK);
        assert_int_equal(sal_figure_svg(&f->figure, &svg[i], NULL), SAL_OK);
    }
    assert_int_equal(pdf[0].size, pdf[1].size);
    assert_memory_equal(pdf[0].data, pdf[1].data, pdf[0].size);
    assert_int_equal(svg[0].size, svg[1].size);
    assert_memory_equal(svg[0].data, svg[1].data, svg[0].size);
    assert_true(holds(&pdf[0], "/CreationDate (19700101000000Z)"));
    for (int i = 0; i < 2; i++) {
        sal_buffer_release(&pdf[i]);
        sal_buffer_release(&svg[i]);
    }
}

static void source_date_epoch_dates_the_pdf(void **state)
{
    struct fixture *f = *state;
    struct sal_buffer pdf = {0};
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    assert_int_equal(sal_figure_pdf(&f->figure, &pdf, NULL), SAL_OK);
    unsetenv("SOURCE_DATE_EPOCH");
    assert_true(holds(&pdf, "/CreationDate (20231114221320Z)"));
    sal_buffer_release(&pdf);
}

/* In a process of its own, where fontconfig has not been set up yet. */
static void without_font_configuration_nothing_is_printed(void **state)
{
    struct fixture *f = *state;
    const char *self = getenv("FIGURE_WITHOUT_FONTS");
    if (self) {
        struct sal_image image = png_of(&f->figure);
        sal_image_release(&image);
        return;
    }
    char command[4200], path[4000], line[256] = "";
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    assert_true(size > 0);
    path[size] = '\0';
    snprintf(command, sizeof(command),
             "FIGURE_WITHOUT_FONTS=1 FONTCONFIG_FILE=/nonexistent '%s' 2>&1 >/dev/null | "
             "grep -v '^\\['",
             path);
    FILE *child = popen(command, "r");
    assert_non_null(child);
    if (fgets(line, sizeof(line), child))
        fail_msg("printed: %s", line);
    pclose(child);
}

static void one_panel_without_an_overlay(void **state)
{
    struct fixture *f = *state;
    f->figure = (struct sal_figure){.panel = {{.picture = &f->image}}, .n_panels = 1};
    struct measured m = measure(&f->figure);
    assert_true(m.layout.panel[0].bar.width == 0 && m.layout.panel[1].box.width == 0);
    assert_true(m.layout.panel[0].box.width > 0.9 * m.layout.width);
    struct sal_image image = png_of(&f->figure);
    assert_near(pixel(&image, m.layout.width / 2, m.layout.height / 2), 90, 90, 90, 0);
    sal_image_release(&image);
    forget(&m);
}

/* ---- plots --------------------------------------------------------------------------------- */

/* Two curves and a band, all flat, so that what is drawn where is known. */
static const double across[] = {1, 2, 4}, upper[] = {0.8, 0.8, 0.8}, lower[] = {0.3, 0.3, 0.3},
                    band_low[] = {0.5, 0.5, 0.5}, band_high[] = {0.6, 0.6, 0.6};

static const struct sal_plot flat = {
    .title = "flat",
    .x = {.title = "x", .log2 = true, .second = 0.5, .second_title = "half"},
    .y = {.title = "y", .range = {0, 1}},
    .curve = {{"upper", 3, across, upper, false}, {"lower", 3, across, lower, false}},
    .band = {"band", 3, across, band_low, band_high},
    .level = {{"level", 0.1}},
    .mark = {{"mark", 3}},
};

/* A row of three pictures, and below a plot. */
static void make_four_panels(struct fixture *f)
{
    f->figure.panel[2] = f->figure.panel[1];
    f->figure.panel[1] = (struct sal_figure_panel){.picture = &f->image, .label = "second"};
    f->figure.panel[3] =
        (struct sal_figure_panel){.plot = &flat, .label = "plot", .new_row = true};
    f->figure.n_panels = 4;
}

/* Whether some dot around the place, upright, is of that colour. */
static bool is_drawn(const struct sal_image *image, double x, double y, const uint8_t rgb[3])
{
    for (double d = -0.6; d <= 0.6; d += 0.2) {
        const uint16_t *p = pixel(image, x, y + d);
        if (abs(p[0] - rgb[0]) + abs(p[1] - rgb[1]) + abs(p[2] - rgb[2]) <= 12)
            return true;
    }
    return false;
}

static void a_plot_draws_each_part_where_it_belongs(void **state)
{
    struct fixture *f = *state;
    make_four_panels(f);
    struct sal_image image = png_of(&f->figure);
    struct measured m = measure(&f->figure);
    struct sal_box area = m.layout.panel[3].plot.area;
    const uint8_t *first = sal_plot_styles[0].rgb, *second = sal_plot_styles[1].rgb;
    const uint8_t *line = sal_plot_level_styles[0].rgb, band[] = {223, 223, 223};
    int dashes = 0, gaps = 0, levels = 0;
    for (int i = 2; i < 98; i++) {
        double x = area.x + area.width * i / 100;
        assert_true(is_drawn(&image, x, area.y + area.height * 0.2, first));
        assert_false(is_drawn(&image, x, area.y + area.height * 0.7, first));
        assert_false(is_drawn(&image, x, area.y + area.height * 0.2, second));
        bool dash = is_drawn(&image, x, area.y + area.height * 0.7, second);
        dashes += dash;
        gaps += !dash;
        levels += is_drawn(&image, x, area.y + area.height * 0.9, line);
        assert_true(is_drawn(&image, x, area.y + area.height * 0.45, band) ||
                    fabs(x - area.x - area.width * log2(3) / 2) < 3);
    }
    assert_true(dashes > 40 && gaps > 10);
    assert_true(levels > 20 && levels < 80);
    int marks = 0;
    for (int i = 2; i < 98; i++)
        marks += pixel(&image, area.x + area.width * log2(3) / 2,
                       area.y + area.height * i / 100)[0] < 150;
    assert_true(marks > 20);
    forget(&m);
    sal_image_release(&image);
}

static void rows_of_panels_lie_below_each_other(void **state)
{
    struct fixture *f = *state;
    make_four_panels(f);
    struct measured m = measure(&f->figure);
    const struct sal_panel_layout *p = m.layout.panel;
    assert_true(p[0].box.x + p[0].box.width < p[1].box.x);
    assert_true(p[1].box.x + p[1].box.width < p[2].box.x);
    assert_true(p[2].box.x + p[2].box.width < p[2].bar.x && p[1].bar.width == 0);
    assert_true(p[0].box.y == p[1].box.y && p[1].box.y == p[2].box.y);
    assert_true(p[3].box.y > p[0].box.y + p[0].box.height + m.layout.line);
    assert_true(m.layout.caption_y > p[3].box.y + p[3].box.height);
    assert_true(p[3].box.width > 0.9 * m.layout.width);
    static const char *const labels[] = {"a  image", "b  second", "c  explanation", "d  plot"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(p[i].label, labels[i]);
    struct sal_box area = p[3].plot.area, box = p[3].box;
    assert_true(area.x > box.x + 20 && area.x + area.width < box.x + box.width);
    assert_true(area.y >= box.y && area.y + area.height < box.y + box.height - 30);
    assert_int_equal(p[3].plot.n_legend, 5);
    assert_string_equal(p[3].plot.x_title, "x / half");
    forget(&m);
}

static void a_plot_beside_a_picture_has_its_height(void **state)
{
    struct fixture *f = *state;
    f->figure.panel[1] = (struct sal_figure_panel){.plot = &flat, .label = "plot"};
    struct measured m = measure(&f->figure);
    assert_true(m.layout.panel[0].box.height == m.layout.panel[1].box.height);
    assert_true(m.layout.panel[0].box.width == m.layout.panel[1].box.width);
    forget(&m);
}

/* However little room there is, and whatever the text. */
static void plots_of_any_size_are_drawn(void **state)
{
    struct fixture *f = *state;
    struct sal_plot plot = flat;
    char longest[900];
    memset(longest, 'W', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    plot.curve[0].name = plot.x.title = plot.y.title = longest;
    plot.curve[1].name = "\x1b[31m\xff";
    f->figure.dpi = 72;
    f->figure.n_panels = 6;
    for (int i = 1; i < 6; i++)
        f->figure.panel[i] = (struct sal_figure_panel){.plot = &plot, .label = longest};
    for (double width = 40; width < 400; width *= 1.5) {
        f->figure.width_mm = width;
        struct sal_image image = png_of(&f->figure);
        sal_image_release(&image);
    }
    struct sal_buffer svg = {0};
    assert_int_equal(sal_figure_svg(&f->figure, &svg, NULL), SAL_OK);
    assert_well_formed(&svg);
    assert_null(memmem(svg.data, svg.size, "opacity=\"0.", 11));
    sal_buffer_release(&svg);
}

/* A way that leads far out of the area is cut at its edge, however far; what is no number is
 * a gap. */
static void what_lies_outside_is_not_drawn(void **state)
{
    struct fixture *f = *state;
    static double x[] = {1, 2, 3, 4}, y[] = {0.5, 0, 0, (double)NAN};
    static const struct sal_plot plot = {.y = {.range = {0, 1}},
                                         .curve = {{"solid", 4, x, y, false},
                                                   {"dashed", 4, x, y, false}}};
    const uint8_t *rgb = sal_plot_styles[0].rgb;
    f->figure.n_panels = 1;
    f->figure.panel[0] = (struct sal_figure_panel){.plot = &plot};
    for (double far = 1e3; far < 1e28; far *= 1e4) {
        y[1] = y[2] = far;
        struct sal_image image = png_of(&f->figure);
        struct measured m = measure(&f->figure);
        struct sal_box area = m.layout.panel[0].plot.area;
        assert_true(is_drawn(&image, area.x + 0.5, area.y + area.height / 2, rgb));
        for (int i = 2; i < 100; i++)
            for (int k = 2; k < 98; k++)
                assert_false(is_drawn(&image, area.x + area.width * i / 100,
                                      area.y + area.height * k / 100, rgb));
        forget(&m);
        sal_image_release(&image);
    }
}

static void assert_refused(const struct sal_figure *figure, enum sal_status status,
                           const char *text)
{
    struct sal_image image = {0};
    struct sal_buffer buffer = {0};
    struct sal_error err = {0};
    assert_int_equal(sal_figure_png(figure, &image, &err), status);
    assert_non_null(strstr(err.text, text));
    if (status == SAL_USAGE) {
        assert_int_equal(sal_figure_pdf(figure, &buffer, NULL), status);
        assert_int_equal(sal_figure_svg(figure, &buffer, NULL), status);
    }
    assert_null(image.samples);
    sal_buffer_release(&buffer);
}

static void impossible_figures_are_refused(void **state)
{
    struct fixture *f = *state;
    struct sal_figure figure = f->figure;
    figure.width_mm = 5;
    assert_refused(&figure, SAL_USAGE, "40 to 1000");
    figure = f->figure;
    figure.dpi = (double)NAN;
    assert_refused(&figure, SAL_USAGE, "36 to 2400");
    figure = f->figure;
    figure.width_mm = 1000;
    figure.dpi = 2400;
    assert_refused(&figure, SAL_LIMIT, "pixels");
    figure = f->figure;
    figure.panel[1].range.high = HUGE_VAL;
    assert_refused(&figure, SAL_USAGE, "finite");
    figure = f->figure;
    struct sal_picture other = {1, 1, f->image.rgb};
    figure.panel[1].picture = &other;
    assert_refused(&figure, SAL_USAGE, "1 x 1");
    figure.panel[1].new_row = true; /* below it may be of any size */
    struct sal_image image = png_of(&figure);
    sal_image_release(&image);
    figure.panel[1].plot = &flat;
    assert_refused(&figure, SAL_USAGE, "an image or a plot");
    struct sal_plot empty = {.title = "no curve"};
    figure.panel[1] = (struct sal_figure_panel){.plot = &empty};
    assert_refused(&figure, SAL_USAGE, "no point");
    assert_refused(&(struct sal_figure){0}, SAL_USAGE, "0 panels");
    assert_refused(&(struct sal_figure){.n_panels = 1}, SAL_USAGE, "an image or a plot");
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

static const struct CMUnitTest all_tests[] = {
    WITH(png_is_178_mm_wide_at_300_dpi),
    WITH(panels_show_their_pictures),
    WITH(panels_keep_the_shape_of_the_image),
    WITH(tiny_images_have_sharp_pixels),
    WITH(small_images_are_not_blurred),
    WITH(large_images_do_not_fade_at_their_edges),
    WITH(bar_runs_from_low_to_high),
    WITH(signed_bar_has_zero_in_the_middle_colour),
    cmocka_unit_test(ticks_name_both_ends_and_the_unit),
        cmocka_unit_test(ends_that_stand_for_more_say_so),
    WITH(extreme_ranges_are_drawn),
    WITH(captions_wrap_inside_the_page),
    WITH(wrapping_loses_no_word),
    WITH(hostile_text_is_cleaned),
    WITH(pdf_embeds_its_fonts),
    WITH(pdf_opens_in_another_reader),
    WITH(svg_is_well_formed_with_its_pictures_inside),
    cmocka_unit_test(renumbering_follows_every_reference),
    WITH(the_same_figure_is_the_same_file),
    WITH(source_date_epoch_dates_the_pdf),
    WITH(without_font_configuration_nothing_is_printed),
    WITH(one_panel_without_an_overlay),
    WITH(a_plot_draws_each_part_where_it_belongs),
    WITH(rows_of_panels_lie_below_each_other),
    WITH(a_plot_beside_a_picture_has_its_height),
    WITH(plots_of_any_size_are_drawn),
    WITH(what_lies_outside_is_not_drawn),
    WITH(impossible_figures_are_refused),
};

static const struct CMUnitTest fontless_tests[] = {
    WITH(without_font_configuration_nothing_is_printed),
};

int main(void)
{
    return getenv("FIGURE_WITHOUT_FONTS")
               ? cmocka_run_group_tests(fontless_tests, NULL, NULL)
               : cmocka_run_group_tests(all_tests, NULL, NULL);
}
