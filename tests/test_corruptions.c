/* What corruptions make of a picture, beside other libraries; and how their severities, settings
 * and agreements are told, where the answer is known. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "attack_models.h"
#include "corruption.h"
#include "random.h"
#include "saliscope/random.h"
#include "small_network.h"

/* ---- pictures -------------------------------------------------------------------- */

enum { ROWS = 10, COLUMNS = 13, AREA = ROWS * COLUMNS, ALL = 3 * AREA };

static const struct sal_canvas canvases[] = {
    [1] = {.planes = 1, .height = ROWS, .width = COLUMNS, .weight = {1}},
    [3] = {.planes = 3, .height = ROWS, .width = COLUMNS, .weight = {0.299, 0.587, 0.114}}};

/* That of corruptions.py. */
static void fill(int planes, float *p)
{
    for (int i = 0; i < planes * AREA; i++) {
        int k = i / AREA, y = i / COLUMNS % ROWS, x = i % COLUMNS;
        p[i] = (float)((37 * x + 61 * y + 91 * k + 3 * x * y) % 256 / (k == 2 ? 8 : 1) / 255.0);
    }
}

static void alter(const struct sal_corruption *kind, int planes, double setting, int axis,
                  uint64_t key, const float *from, float *to)
{
    struct sal_alteration how = {setting, axis, key};
    must(kind->alter(&canvases[planes], &how, from, to, err));
}

static const struct sal_corruption *named(const char *name)
{
    for (int i = 0; sal_corruption_list[i]; i++)
        if (strcmp(sal_corruption_list[i]->probe.name, name) == 0)
            return sal_corruption_list[i];
    fail_msg("there is no corruption %s", name);
    return NULL;
}

static float inside(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static const struct recorded {
    const char *name;
    int axis;
    double setting;
    int planes;
    double tolerance;
    double values[ALL];
} recorded[] = {
#include "recorded/corruptions_data.h"
};

static void pictures_are_those_of_other_libraries(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(recorded) / sizeof(*recorded); i++) {
        const struct recorded *r = &recorded[i];
        float from[ALL], to[ALL];
        double worst = 0;
        fill(r->planes, from);
        alter(named(r->name), r->planes, r->setting, r->axis, 0, from, to);
        for (int k = 0; k < r->planes * AREA; k++)
            worst = fmax(worst, fabs((double)inside(to[k]) - r->values[k]));
        if (!(worst <= r->tolerance))
            fail_msg("%s %g: off by %g, %g is allowed", r->name, r->setting, worst, r->tolerance);
    }
}

/* JPEG begins with levels of 8 bits, the nearest. */
static void jpeg_rounds_to_eight_bits(void **state)
{
    (void)state;
    float from[AREA], to[AREA];
    for (int level = 0; level < 256; level += 51)
        for (int side = -1; side <= 1; side++) {
            for (int i = 0; i < AREA; i++)
                from[i] = (float)((level + 0.4 * side) / 255);
            alter(named("jpeg"), 1, 100, 0, 0, from, to);
            for (int i = 0; i < AREA; i++)
                assert_true(fabs((double)to[i] - level / 255.0) <= 1e-7);
        }
}

/* Blue, green and red are mixed as red, green and blue are. */
static void the_order_of_colours_does_not_matter(void **state)
{
    (void)state;
    static const char *const names[] = {"contrast", "jpeg"};
    struct sal_canvas canvas = canvases[3];
    canvas.reversed = true;
    canvas.weight[0] = 0.114;
    canvas.weight[2] = 0.299;
    for (int i = 0; i < 2; i++) {
        struct sal_alteration how = {i ? 20 : 0.5, 0, 0};
        float from[ALL], other[ALL], to[ALL], turned[ALL];
        fill(3, from);
        for (int k = 0; k < ALL; k++)
            other[k] = from[(2 - k / AREA) * AREA + k % AREA];
        alter(named(names[i]), 3, how.setting, 0, 0, from, to);
        must(named(names[i])->alter(&canvas, &how, other, turned, err));
        for (int k = 0; k < ALL; k++)
            assert_true(fabsf(turned[k] - to[(2 - k / AREA) * AREA + k % AREA]) <= 1e-6F);
    }
}

static void the_neutral_setting_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; sal_corruption_list[i]; i++) {
        const struct sal_corruption *kind = sal_corruption_list[i];
        for (int way = 0; way < kind->n_ways; way++) {
            float from[ALL], to[ALL];
            fill(3, from);
            from[7] = -0.25F; /* as a filter's overshoot leaves it */
            from[9] = 1.25F;
            alter(kind, 3, kind->neutral, kind->ways[way].axis, 5, from, to);
            assert_memory_equal(from, to, sizeof(to));
        }
    }
}

/* Each severity is a setting that may be asked for, further from neutral than the one before,
 * and changes more of the picture; noise by its root mean square. */
static void severities_grow(void **state)
{
    (void)state;
    for (int i = 0; sal_corruption_list[i]; i++) {
        const struct sal_corruption *kind = sal_corruption_list[i];
        const struct sal_param *setting = kind->probe.params;
        assert_string_equal(setting->name, "setting");
        assert_true(setting->fallback == kind->neutral);
        for (int way = 0; way < kind->n_ways; way++)
            for (int table = 0; table < SAL_TABLES; table++) {
                const double *s = kind->ways[way].settings[table];
                assert_true(table || s[0] != 0);
                for (int k = 0; k < SAL_SEVERITIES && s[SAL_SEVERITIES - 1] != 0; k++) {
                    assert_true(s[k] >= setting->min && s[k] <= setting->max);
                    double off = fabs(s[k] - kind->gentle);
                    assert_true(k == 0 || off > fabs(s[k - 1] - kind->gentle));
                }
            }
    }
}

/* Black beyond the circle, as it was within, but for the pixel on its edge. */
static void corners_are_those_of_a_circle(void **state)
{
    (void)state;
    enum { SIZE = 41 };
    const struct sal_canvas canvas = {.planes = 1, .height = SIZE, .width = SIZE, .weight = {1}};
    struct sal_alteration how = {.setting = 0.9};
    float from[SIZE * SIZE], to[SIZE * SIZE];
    for (int i = 0; i < SIZE * SIZE; i++)
        from[i] = 0.75F;
    must(named("black-corner")->alter(&canvas, &how, from, to, err));
    for (int i = 0; i < SIZE * SIZE; i++) {
        double off = hypot(i / SIZE - 20, i % SIZE - 20), radius = 0.9 * SIZE / 2.0;
        if (off < radius - 0.51)
            assert_true(to[i] == 0.75F);
        else if (off > radius + 0.51)
            assert_true(to[i] == 0);
    }
}

/* A letter in its corner: white, as high as was asked, its strokes and nothing else. */
static void markers_stand_in_their_corners(void **state)
{
    (void)state;
    enum { SIZE = 100 };
    static const int on_r[][2] = {{15, 5}, {5, 8}}, on_l[][2] = {{15, 83}, {24, 90}};
    const struct sal_canvas canvas = {.planes = 1, .height = SIZE, .width = SIZE, .weight = {1}};
    static float from[SIZE * SIZE], to[SIZE * SIZE];
    for (int right = 0; right < 2; right++) {
        struct sal_alteration how = {.setting = 0.2, .axis = right};
        int top = SIZE, bottom = 0, left = SIZE, beyond = 0, ink = 0;
        must(named("marker")->alter(&canvas, &how, from, to, err));
        for (int i = 0; i < SIZE * SIZE; i++) {
            if (to[i] < 0.5F)
                continue;
            top = i / SIZE < top ? i / SIZE : top;
            bottom = i / SIZE >= bottom ? i / SIZE + 1 : bottom;
            left = i % SIZE < left ? i % SIZE : left;
            beyond = i % SIZE >= beyond ? i % SIZE + 1 : beyond;
            ink++;
        }
        /* 20 pixels and half a stroke of 2.8 on either side */
        assert_true(abs(top - 4) <= 1 && abs(bottom - 26) <= 1);
        assert_true(right ? left > 75 && beyond <= 97 : left >= 3 && beyond < 25);
        assert_true(ink > 60 && ink < 220);
        for (int k = 0; k < 2; k++) {
            const int *at = right ? on_l[k] : on_r[k];
            assert_true(to[at[0] * SIZE + at[1]] == 1);
        }
    }
}

/* ---- noise ----------------------------------------------------------------------- */

enum { MANY = 100, NOISY = MANY * MANY };

static const struct sal_canvas wide = {.planes = 1, .height = MANY, .width = MANY, .weight = {1}};

static void noise_of(const char *name, double setting, uint64_t key, float level, float *to)
{
    static float from[NOISY];
    struct sal_alteration how = {.setting = setting, .key = sal_random_key(9, key)};
    for (int i = 0; i < NOISY; i++)
        from[i] = level;
    must(named(name)->alter(&wide, &how, from, to, err));
}

/* Mean and standard deviation within five of their standard errors. */
static void assert_moments(const char *name, double setting, float level, double mean, double sd,
                           double kurtosis)
{
    static float p[NOISY];
    double sum = 0, squares = 0;
    noise_of(name, setting, 1, level, p);
    for (int i = 0; i < NOISY; i++)
        sum += (double)p[i] / NOISY;
    for (int i = 0; i < NOISY; i++)
        squares += pow((double)p[i] - mean, 2) / NOISY;
    double off = 5 / sqrt(NOISY);
    if (!(fabs(sum - mean) <= off * sd && fabs(squares / (sd * sd) - 1) <= off * sqrt(kurtosis)))
        fail_msg("%s %g: mean %g, deviation %g; should be %g, %g", name, setting, sum,
                 sqrt(squares), mean, sd);
}

static void noise_has_its_mean_and_deviation(void **state)
{
    (void)state;
    assert_moments("gaussian-noise", 0.12, 0.5F, 0.5, 0.12, 2);
    assert_moments("speckle-noise", 0.2, 0.5F, 0.5, 0.1, 2);
    assert_moments("shot-noise", 5, 0.4F, 0.4, sqrt(0.4 / 5), 2 + 1 / 2.0);
    assert_moments("shot-noise", 300, 0.9F, 0.9, sqrt(0.9 / 300), 2 + 1 / 270.0);
    /* of levels 0, 1/2 and 1 with probabilities c/2, 1 - c, c/2 the variance is c/4 */
    assert_moments("impulse-noise", 0.17, 0.5F, 0.5, sqrt(0.17 / 4), 1 / 0.17 - 1);
}

/* Neighbours know nothing of each other. */
static void pixels_are_drawn_one_by_one(void **state)
{
    (void)state;
    static const char *const names[] = {"gaussian-noise", "speckle-noise", "shot-noise"};
    static float p[NOISY];
    for (int i = 0; i < 3; i++)
        for (int step = 1; step <= MANY; step += MANY - 1) {
            double together = 0, squares = 0;
            noise_of(names[i], i == 2 ? 20 : 0.1, 5, 0.5F, p);
            for (int k = 0; k + step < NOISY; k++) {
                together += ((double)p[k] - 0.5) * ((double)p[k + step] - 0.5);
                squares += pow((double)p[k] - 0.5, 2);
            }
            assert_true(fabs(together / squares) <= 5 / sqrt(NOISY));
        }
}

/* Counts of photons are whole, and zero as often as they should be. */
static void shots_are_counted(void **state)
{
    (void)state;
    static float p[NOISY];
    int none = 0;
    noise_of("shot-noise", 5, 2, 0.4F, p);
    for (int i = 0; i < NOISY; i++) {
        double photons = (double)p[i] * 5;
        assert_true(fabs(photons - round(photons)) <= 1e-5);
        none += p[i] == 0;
    }
    double share = exp(-2), error = sqrt(share * (1 - share) / NOISY);
    assert_true(fabs((double)none / NOISY - share) <= 5 * error);
}

/* One draw is a path: what more noise does to a pixel goes the same way. */
static void a_draw_is_the_same_at_each_severity(void **state)
{
    (void)state;
    static float a[NOISY], b[NOISY];
    noise_of("gaussian-noise", 0.1, 3, 0.5F, a);
    noise_of("gaussian-noise", 0.2, 3, 0.5F, b);
    for (int i = 0; i < NOISY; i++)
        assert_true(fabs(2 * ((double)a[i] - 0.5) - ((double)b[i] - 0.5)) <= 1e-6);
    noise_of("impulse-noise", 0.1, 3, 0.5F, a);
    noise_of("impulse-noise", 0.2, 3, 0.5F, b);
    for (int i = 0; i < NOISY; i++)
        assert_true(a[i] == 0.5F || a[i] == b[i]);
    noise_of("gaussian-noise", 0.1, 4, 0.5F, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* ---- probes ---------------------------------------------------------------------- */

static uint64_t draws = 11;

static double uniform(double low, double high)
{
    return low + (high - low) * test_random(&draws);
}

static const struct sal_trial *trial_at(const struct sal_probe_answer *a, const char *way,
                                        int severity)
{
    for (int i = 0; i < a->n_trials; i++)
        if (a->trials[i].severity == severity && strcmp(a->trials[i].way, way) == 0)
            return &a->trials[i];
    fail_msg("there is no trial %s of severity %d", way, severity);
    return NULL;
}

static double fact_of(const struct sal_probe_answer *a, const char *name)
{
    for (int i = 0; i < a->n_facts; i++)
        if (strcmp(a->facts[i].name, name) == 0)
            return a->facts[i].value;
    fail_msg("there is no fact %s", name);
    return 0;
}

enum { SIDE = 8, SQUARE = SIDE * SIDE };

/* Levels in the middle of the range, so that nothing is clamped on the way; weights of any
 * sign. Returns w x. */
static double make_half(float *w, float *x)
{
    double sum = 0;
    for (int i = 0; i < SQUARE; i++) {
        w[i] = (float)uniform(-1, 1.4);
        x[i] = (float)uniform(0.4, 0.6);
        sum += (double)w[i] * (double)x[i];
    }
    return sum;
}

/* f(setting) = w (m + s (x - m)) + b is straight in s; where it is 0 is known. So it is of a
 * factor of all levels, and of a level that is taken off. */
static void flips_where_it_must(void **state)
{
    (void)state;
    static const char *const names[] = {"brightness", "contrast", "level"};
    static const double roots[][2] = {/* a setting, and the severity that first passes it */
                                      {0.73, 3}, {0.45, 5}, {0.95, 1}, {0.3, 0}, {1.25, 3}};
    for (int kind = 0; kind < 3; kind++)
        for (int i = 0; i < 5; i++) {
            float w[SQUARE], x[SQUARE];
            double all = make_half(w, x), mean = 0, sum = 0, s = roots[i][0];
            for (int k = 0; k < SQUARE; k++) {
                mean += (double)x[k] / SQUARE;
                sum += (double)w[k];
            }
            double at_root = kind == 0 ? s * all : mean * sum + s * (all - mean * sum);
            double severity = roots[i][1];
            if (kind == 2) { /* levels .05 .1 .15 .2 .25, of 5 times the distance from 1 */
                s = (1 - s) / 2.5;
                at_root = all - s * sum;
                severity = ceil(fabs(s) / 0.05);
            }
            float b = (float)-at_root;
            if (kind == 0 && i == 1)
                severity = 0; /* brightness ends at 0.5, contrast at 0.4 */
            severity = severity > 5 ? 0 : severity;
            struct sal_model *model = linear_model(1, SIDE, SIDE, 1, w, &b, "Sigmoid", NULL);
            struct sal_probe_answer a = probe_of(
                model, x, names[kind], (struct probing){.settings = "effort=thorough"});
            assert_answer_is_honest(model, x, 0, &a);
            for (int k = 0; k < a.n_trials; k++) /* f, whichever the goal */
                assert_true(a.trials[k].flips == ((a.trials[k].f >= 0) != (a.f_before >= 0)));
            double told = fact_of(&a, "flips_at_severity"), least = fact_of(&a, "least_setting");
            if (severity > 0) {
                if (!(told == severity && fabs(least - s) <= 1e-4))
                    fail_msg("%s: flips at severity %g, %.6g; should be %g, %.6g", names[kind],
                             told, least, severity, s);
                assert_true(a.flipped);
            } else {
                assert_true(isnan(told) && isnan(least) && !a.flipped);
                assert_non_null(strstr(a.note, "shows nothing"));
            }
            sal_probe_answer_release(&a);
            sal_model_close(model);
        }
}

/* Ways that go where this one does, it included. */
static int ways_beside(const struct sal_corruption *kind, int way)
{
    int n = 0;
    bool up = kind->ways[way].settings[0][0] > kind->neutral;
    for (int i = 0; i < kind->n_ways; i++)
        n += (kind->ways[i].settings[0][0] > kind->neutral) == up;
    return n;
}

/* Far from both ends of the range, along one draw, f is straight in the deviation; another draw
 * goes elsewhere. */
static void scores_follow_the_draw(void **state)
{
    (void)state;
    float w[SQUARE], x[SQUARE], b;
    double f[4], all = make_half(w, x);
    b = (float)(0.3 - all);
    struct sal_model *model = linear_model(1, SIDE, SIDE, 1, w, &b, "Sigmoid", NULL);
    for (int n = 1; n <= 3; n++) {
        char text[64];
        snprintf(text, sizeof(text), "table=pneumonia draws=%d", n);
        struct sal_probe_answer a =
            probe_of(model, x, "gaussian-noise", (struct probing){.settings = text});
        f[n] = trial_at(&a, "", 1)->f - a.f_before;
        for (int k = 1; k <= 5; k++) { /* .04 .05 .06 .07 .08 */
            const struct sal_trial *t = trial_at(&a, "", k);
            assert_int_equal(t->draws, n);
            assert_true(fabs((t->f - a.f_before) - f[n] * (3 + k) / 4) <= 1e-4);
        }
        sal_probe_answer_release(&a);
    }
    assert_true(fabs(f[1] - f[2]) > 1e-3 && fabs(f[2] - f[3]) > 1e-3);
    sal_model_close(model);
}

/* From end to end, with the picture as given where nothing is done. */
static void assert_series_passes(const struct sal_probe_answer *a,
                                 const struct sal_corruption *kind)
{
    const struct sal_series *s = sal_probe_series(a, "setting");
    int axes = 1, given = 0;
    for (int i = 0; i < kind->n_ways; i++)
        axes = kind->ways[i].axis + 1 > axes ? kind->ways[i].axis + 1 : axes;
    assert_non_null(s);
    assert_int_equal(s->n, 1 + 5 * kind->n_ways / axes);
    for (int i = 0; i < s->n; i++) {
        assert_true(i == 0 || s->x[i] > s->x[i - 1]);
        if (s->x[i] == kind->gentle)
            given += fabs(s->y[i] - (double)a->before[1]) <= 1e-6;
    }
    assert_int_equal(given, 1);
}

/* What is told of one severity is what that setting gives; the nearest flip is the answer. */
static void trials_say_what_was_seen(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    float x[N];
    memcpy(x, an_image(), sizeof(x));
    for (int i = 0; i < N; i++)
        x[i] = (float)fmin(fmax((double)x[i], 0), 1);
    for (int i = 0; sal_corruption_list[i]; i++) {
        const struct sal_corruption *kind = sal_corruption_list[i];
        const bool random = kind->probe.needs & SAL_PROBE_DRAWS;
        struct sal_probe_answer all =
            probe_of(model, x, kind->probe.name, (struct probing){.c = 1});
        double nearest = INFINITY;
        for (int way = 0; way < kind->n_ways; way++)
            for (int severity = 1; severity <= 5; severity++) {
                const struct sal_trial *t = trial_at(&all, kind->ways[way].name, severity);
                char text[64];
                double usual = kind->ways[way].settings[0][severity - 1];
                assert_int_equal(t->draws, random ? 2 : 1);
                assert_true(t->setting == usual * (kind->lengths ? W / 224.0 : 1));
                nearest = t->flips ? fmin(nearest, t->distance.l2) : nearest;
                if (severity % 2 == 0)
                    continue;
                snprintf(text, sizeof(text), "setting=%.17g", t->setting);
                struct sal_probe_answer one = probe_of(model, x, kind->probe.name,
                                                       (struct probing){.settings = text, .c = 1});
                bool found = false;
                for (int k = 0; k < one.n_trials; k++)
                    found |= one.trials[k].way == t->way && one.trials[k].f == t->f &&
                             one.trials[k].flips == t->flips && one.trials[k].score == t->score;
                assert_true(found);
                assert_int_equal(one.n_trials, ways_beside(kind, way));
                sal_probe_answer_release(&one);
            }
        if (!random)
            assert_true(all.flipped == isfinite(nearest) &&
                        (!all.flipped || all.distance.l2 <= nearest * 1.001));
        assert_series_passes(&all, kind);
        sal_probe_answer_release(&all);
    }
    sal_model_close(model);
}

static void assert_same(const struct sal_probe_answer *a, const struct sal_probe_answer *b)
{
    assert_memory_equal(a->x, b->x, N * sizeof(float));
    assert_int_equal(a->forwards, b->forwards);
    assert_int_equal(a->n_trials, b->n_trials);
    assert_int_equal(a->n_facts, b->n_facts);
    for (int i = 0; i < a->n_trials; i++) {
        assert_true(a->trials[i].f == b->trials[i].f && a->trials[i].score == b->trials[i].score);
        assert_memory_equal(&a->trials[i].distance, &b->trials[i].distance,
                            sizeof(a->trials[i].distance));
        assert_int_equal(a->trials[i].flips, b->trials[i].flips);
    }
    for (int i = 0; i < a->n_facts; i++)
        assert_memory_equal(&a->facts[i].value, &b->facts[i].value, sizeof(double));
    for (int i = 0; i < a->n_series; i++) {
        size_t size = (size_t)a->series[i].n * sizeof(double);
        assert_int_equal(a->series[i].n, b->series[i].n);
        assert_memory_equal(a->series[i].x, b->series[i].x, size);
        assert_memory_equal(a->series[i].y, b->series[i].y, size);
    }
    assert_string_equal(a->note, b->note);
}

static void threads_and_batch_change_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"corruptions", "tta", "shot-noise", "shift"};
    struct sal_model *model = make_network(SMOOTH_NHWC, "imagenet");
    for (int i = 0; i < 4; i++) {
        struct probing how = {.c = 1, .seed = 3};
        struct sal_probe_answer a = probe_of(model, an_image(), names[i], how);
        for (int other = 0; other < 3; other++) {
            how.threads = other + 1;
            how.batch = (int[]){1, 3, 8}[other];
            struct sal_probe_answer b = probe_of(model, an_image(), names[i], how);
            assert_same(&a, &b);
            sal_probe_answer_release(&b);
        }
        how.seed = 4;
        struct sal_probe_answer b = probe_of(model, an_image(), names[i], how);
        bool other = false;
        for (int k = 0; k < a.n_trials && k < b.n_trials; k++)
            other |= a.trials[k].f != b.trials[k].f;
        assert_true(other == (i < 3)); /* a shift draws nothing */
        sal_probe_answer_release(&b);
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

/* Of every corruption, at its strongest: what is outside of the mask stays bit for bit, a picture
 * stays one, and tied channels stay tied. */
static void masks_range_and_grey_are_kept(void **state)
{
    (void)state;
    static uint8_t mask[PIXELS];
    int flips = 0;
    for (int i = 0; i < PIXELS; i++)
        mask[i] = i % W >= 7;
    for (int i = 0; sal_corruption_list[i]; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const char *name = sal_corruption_list[i]->probe.name;
            float w[N], b = 0, x[N];
            for (int k = 0; k < N; k++) {
                w[k] = (float)uniform(-1, 1);
                x[k] = (float)(uniform(0, 1) < 0.2 ? k % 2 : uniform(0, 1));
                b -= w[k] * x[k];
            }
            b += 1e-4F * (float)sign; /* one side is crossed by nearly every change */
            struct sal_model *model = linear_model(3, H, W, 1, w, &b, "Sigmoid", NULL);
            struct probing how = {.settings = "severity=5", .mask = mask};
            struct sal_probe_answer a = probe_of(model, x, name, how);
            assert_answer_is_honest(model, x, 0, &a);
            flips += a.flipped;
            for (int k = 0; k < N; k++) {
                assert_true(a.picture[k] >= 0 && a.picture[k] <= 1);
                if (!mask[k % PIXELS])
                    assert_memory_equal(&a.x[k], &x[k], sizeof(float));
            }
            sal_probe_answer_release(&a);
            for (int k = 0; k < N; k++)
                x[k] = x[k % PIXELS];
            how.grey = true;
            a = probe_of(model, x, name, how);
            assert_int_equal(a.planes, 1);
            for (int k = 0; k < N; k++)
                assert_memory_equal(&a.x[k], &a.x[k % PIXELS], sizeof(float));
            sal_probe_answer_release(&a);
            sal_model_close(model);
        }
    assert_true(flips > 12); /* else nothing was looked at */
}

/* Pictures of one pixel, one row, one column; networks that say nothing. */
static void nothing_odd_makes_what_is_not_finite(void **state)
{
    (void)state;
    static const int shapes[][3] = {{1, 1, 1}, {1, 1, 9}, {3, 2, 5}, {3, 7, 1}, {4, 3, 3}};
    static const char *const names[] = {"corruptions", "tta"};
    for (int shape = 0; shape < 5; shape++)
        for (int outputs = 1; outputs <= 3; outputs++)
            for (int i = 0; i < 2; i++) {
                const int *s = shapes[shape];
                float w[3 * 64], b[3], x[64];
                for (int k = 0; k < outputs * s[0] * s[1] * s[2]; k++)
                    w[k] = outputs == 3 ? 0 : (float)sin(k + 1.0);
                for (int k = 0; k < 3; k++)
                    b[k] = (float)(0.1 * k - 0.2);
                for (int k = 0; k < s[0] * s[1] * s[2]; k++)
                    x[k] = (float)(k % 3) / 2;
                struct sal_model *model = linear_model(s[0], s[1], s[2], outputs, w, b,
                                                       outputs % 2 ? "Sigmoid" : "Softmax", NULL);
                struct sal_probe_answer a =
                    probe_of(model, x, names[i],
                             (struct probing){.settings = "draws=1", .c = outputs - 1});
                assert_answer_is_honest(model, x, outputs - 1, &a);
                for (int k = 0; k < a.n_trials; k++)
                    assert_true(isfinite(a.trials[k].f) && isfinite(a.trials[k].score) &&
                                isfinite(a.trials[k].distance.l2));
                sal_probe_answer_release(&a);
                sal_model_close(model);
            }
}

static void *stop(void *argument)
{
    struct sal_job *job = argument;
    while (atomic_load(&job->done) < 200)
        usleep(100); /* a thread that turns leaves no room for the other under valgrind */
    sal_job_cancel(job);
    return NULL;
}

static void what_is_stopped_tells_what_it_saw(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_job job = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop, &job), 0);
    struct sal_probe_answer a =
        probe_of(model, an_image(), "corruptions",
                 (struct probing){.settings = "draws=10000", .c = 1, .job = &job});
    pthread_join(thread, NULL);
    assert_true(a.partial && a.forwards < 50000 && a.n_facts == 0);
    long seen = 0; /* of every severity before a second draw of any */
    for (int i = 0; i < a.n_trials; i++)
        seen += a.trials[i].draws;
    assert_true(seen > 0 && seen <= a.forwards);
    for (int i = 0; seen > 145 + 20 && i < 20; i++)
        assert_true(a.trials[i].draws > 1 && abs(a.trials[i].draws - a.trials[0].draws) <= 1);
    assert_true(seen < 145 || a.n_trials == 145);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

/* ---- agreement ------------------------------------------------------------------- */

/* Of the mean level's decision: the figures are those of its trials. */
static void agreement_is_that_of_the_trials(void **state)
{
    (void)state;
    float w[SQUARE], x[SQUARE];
    double sum = 0, mean = 0, squares = 0, inner = 0;
    for (int i = 0; i < SQUARE; i++) {
        w[i] = 4.0F / SQUARE;
        x[i] = (float)uniform(0.2, 0.5);
        sum += (double)w[i] * (double)x[i];
    }
    float b = (float)(0.02 - sum); /* darker by gamma 1.1 flips it, a narrower window too */
    struct sal_model *model = linear_model(1, SIDE, SIDE, 1, w, &b, "Sigmoid", NULL);
    struct sal_probe_answer a =
        probe_of(model, x, "tta", (struct probing){.settings = "draws=1 mirror=yes"});
    int n = a.n_trials, agree = 0;
    assert_int_equal(n, 14);
    for (int i = 0; i < n; i++) {
        double p = 1 / (1 + exp(-a.trials[i].f));
        assert_true(fabs(p - a.trials[i].score) <= 1e-6);
        agree += !a.trials[i].flips;
        mean += p / n;
        inner -= (p * log(p) + (1 - p) * log(1 - p)) / n;
    }
    for (int i = 0; i < n; i++)
        squares += pow(a.trials[i].score - mean, 2) / n;
    assert_true(agree > 0 && agree < n);
    double outer = -mean * log(mean) - (1 - mean) * log(1 - mean);
    assert_true(fabs(fact_of(&a, "agreement") - 100.0 * agree / n) <= 1e-9);
    assert_true(fabs(fact_of(&a, "mean") - mean) <= 1e-6);
    assert_true(fabs(fact_of(&a, "sd") - sqrt(squares)) <= 1e-6);
    assert_true(fabs(fact_of(&a, "vvc") - sqrt(squares) / mean) <= 1e-6);
    assert_true(fabs(fact_of(&a, "entropy") - outer) <= 1e-6);
    assert_true(fabs(fact_of(&a, "mutual_information") - (outer - inner)) <= 1e-6);
    assert_non_null(strstr(a.note, "gamma 1.1")); /* takes the mean level down the furthest */
    /* mirrored, its mean level is the same */
    assert_string_equal(a.trials[12].name, "mirror");
    assert_true(fabs(a.trials[12].f - a.f_before) <= 1e-6 && a.trials[12].distance.changed > 0);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

/* Scores that are no probabilities have no entropy. */
static void logits_have_no_entropy(void **state)
{
    (void)state;
    float w[2 * SQUARE] = {0}, x[SQUARE] = {0}, b[2] = {1, 0};
    struct sal_model *model = linear_model(1, SIDE, SIDE, 2, w, b, "Identity", NULL);
    struct sal_probe_answer a = probe_of(model, x, "tta", (struct probing){0});
    assert_true(fact_of(&a, "agreement") == 100 && fact_of(&a, "sd") == 0);
    assert_int_equal(a.n_trials, 13); /* nothing is mirrored unasked */
    for (int i = 0; i < a.n_facts; i++)
        assert_true(strcmp(a.facts[i].name, "entropy") && isfinite(a.facts[i].value));
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_those_of_other_libraries),
        cmocka_unit_test(jpeg_rounds_to_eight_bits),
        cmocka_unit_test(the_order_of_colours_does_not_matter),
        cmocka_unit_test(the_neutral_setting_changes_nothing),
        cmocka_unit_test(severities_grow),
        cmocka_unit_test(corners_are_those_of_a_circle),
        cmocka_unit_test(markers_stand_in_their_corners),
        cmocka_unit_test(noise_has_its_mean_and_deviation),
        cmocka_unit_test(pixels_are_drawn_one_by_one),
        cmocka_unit_test(shots_are_counted),
        cmocka_unit_test(a_draw_is_the_same_at_each_severity),
        cmocka_unit_test(flips_where_it_must),
        cmocka_unit_test(scores_follow_the_draw),
        cmocka_unit_test(trials_say_what_was_seen),
        cmocka_unit_test(threads_and_batch_change_nothing),
        cmocka_unit_test(masks_range_and_grey_are_kept),
        cmocka_unit_test(nothing_odd_makes_what_is_not_finite),
        cmocka_unit_test(what_is_stopped_tells_what_it_saw),
        cmocka_unit_test(agreement_is_that_of_the_trials),
        cmocka_unit_test(logits_have_no_entropy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
