/* Region runs against whole forwards: over random graphs, where boxes lie anywhere in the
 * image and where they grow over all of it; over all bundled and shared models. Without
 * Winograd the bits are the same. With it, what lies beside a box in a tile that the box
 * touches keeps the base's rounding: there the difference is held against that which
 * Winograd makes itself.
 *
 * REGION_FROM and REGION_MANY in the environment: which graphs, and how many. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data.h"
#include "graphs.h"
#include "lanes.h"
#include "random.h"
#include "region_state.h"
#include "saliscope/explain.h"

enum { BATCH = 5, MANY = 300 };

static void must(enum sal_status status, const struct sal_error *err)
{
    if (status)
        fail_msg("%s", err->text);
}

/* ---- a graph and images ---------------------------------------------------------------- */

struct scene {
    uint64_t number;
    bool last; /* channels come last in the input */
    struct graphs made;
    struct sal_onnx onnx;
    struct sal_graph one, all;
    struct sal_packs *packs;
    int score;
    int64_t n_x, n_score; /* of an image */
    sal_real *base, *x;   /* an image; BATCH of them that differ in a box */
    struct sal_box box[BATCH];
};

/* A side of a box: anywhere, at an edge or all of it. */
static void draw_side(struct graphs *g, int64_t length, int64_t *at, int64_t *end)
{
    int64_t n = graphs_roll(g, 5) ? 1 + graphs_roll(g, (int)(length + 2) / 3) : length;
    int way = graphs_roll(g, 4);
    *at = way == 0 ? 0 : way == 1 ? length - n : graphs_roll(g, (int)(length - n) + 1);
    *end = *at + n;
}

static void draw_images(struct scene *s)
{
    const int64_t *shape = s->one.values[s->one.inputs[0]].tensor.shape.dim;
    const int64_t dim[4] = {1, shape[s->last ? 3 : 1], shape[s->last ? 1 : 2],
                            shape[s->last ? 2 : 3]};
    for (int64_t i = 0; i < s->n_x; i++)
        s->base[i] = (sal_real)(4 * test_random(&s->made.state) - 2);
    for (int b = 0; b < BATCH; b++) {
        sal_real *x = s->x + b * s->n_x;
        memcpy(x, s->base, sizeof(*x) * (size_t)s->n_x);
        struct sal_box *box = &s->box[b];
        *box = (struct sal_box){0};
        if (b == BATCH - 1) /* one that is the base itself */
            continue;
        draw_side(&s->made, dim[2], &box->at[0], &box->end[0]);
        draw_side(&s->made, dim[3], &box->at[1], &box->end[1]);
        for (int64_t c = 0; c < dim[1]; c++)
            for (int64_t y = box->at[0]; y < box->end[0]; y++)
                for (int64_t z = box->at[1]; z < box->end[1]; z++)
                    x[s->last ? (y * dim[3] + z) * dim[1] + c
                              : (c * dim[2] + y) * dim[3] + z] =
                        (sal_real)(4 * test_random(&s->made.state) - 2);
    }
}

/* What random graphs have none of: channels last, response normalisation, padding apart,
 * blocks that end within one another, and pools at an edge that is cut. */
static void make_by_hand(struct graphs *g, uint64_t number)
{
#define DIMS(...) (const int64_t[]){__VA_ARGS__}
    struct onnx_build *b = &g->b;
    *g = (struct graphs){.state = number};
    onnx_build_init(b, 13);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, 27, 22, 3));
    onnx_build_node(b, "Transpose", "x", "planes");
    onnx_build_ints(b, "perm", 4, DIMS(0, 3, 1, 2));
    onnx_build_waves(b, "w1", 4, DIMS(24, 3, 3, 3), 0.5f);
    onnx_build_node(b, "Conv", "planes,w1", "c1");
    onnx_build_node(b, "Relu", "c1", "r1");
    onnx_build_node(b, "LRN", "r1", "l1");
    onnx_build_int(b, "size", 5);
    onnx_build_indices(b, "pads", 1, DIMS(8), DIMS(0, 0, 1, 0, 0, 0, 2, 1));
    onnx_build_node(b, "Pad", "l1,pads", "p1");
    onnx_build_node(b, "MaxPool", "p1", "m1");
    onnx_build_ints(b, "kernel_shape", 2, DIMS(3, 3));
    onnx_build_ints(b, "strides", 2, DIMS(2, 1));
    onnx_build_int(b, "ceil_mode", 1);
    onnx_build_waves(b, "w22", 4, DIMS(9, 24, 1, 1), 0.4f);
    onnx_build_waves(b, "w333", 4, DIMS(20, 24, 3, 3), 0.2f);
    onnx_build_node(b, "Conv", "m1,w22", "c2");
    onnx_build_node(b, "Conv", "m1,w333", "c3");
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(b, "Concat", "c2,c3", "both");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "AveragePool", "both", "a1");
    onnx_build_ints(b, "kernel_shape", 2, DIMS(3, 2));
    onnx_build_ints(b, "pads", 4, DIMS(1, 0, 1, 1));
    onnx_build_int(b, "count_include_pad", 1);
    onnx_build_node(b, "GlobalAveragePool", "a1", "mean");
    onnx_build_output(b, "mean", SAL_ONNX_FLOAT, -1, NULL);
}

static void open_scene(struct scene *s, uint64_t number, bool by_hand)
{
    struct sal_error err = {0};
    *s = (struct scene){.number = number, .last = by_hand};
    if (by_hand)
        make_by_hand(&s->made, number);
    else
        graphs_make(&s->made, number);
    must(sal_onnx_parse(&s->onnx, onnx_build_finish(&s->made.b), "t.onnx", &err), &err);
    must(sal_graph_build(&s->one, &s->onnx, &(struct sal_graph_options){0}, &err), &err);
    struct sal_shape shape = s->one.values[s->one.inputs[0]].tensor.shape;
    s->n_x = sal_shape_count(&shape);
    shape.dim[0] = BATCH;
    must(sal_graph_build(&s->all, &s->onnx, &(struct sal_graph_options){.shapes = &shape},
                         &err), &err);
    s->score = s->one.outputs[graphs_roll(&s->made, s->one.n_outputs)];
    s->n_score = sal_shape_count(&s->one.values[s->score].tensor.shape);
    s->packs = sal_packs_open();
    s->base = calloc((size_t)s->n_x, sizeof(*s->base));
    s->x = calloc((size_t)s->n_x * BATCH, sizeof(*s->x));
    assert_true(s->packs && s->base && s->x);
    draw_images(s);
}

static void close_scene(struct scene *s)
{
    free(s->base);
    free(s->x);
    sal_packs_close(s->packs);
    sal_graph_release(&s->all);
    sal_graph_release(&s->one);
    sal_onnx_close(&s->onnx);
    graphs_release(&s->made);
}

static const struct sal_box corner = {{0, 0}, {1, 1}};

static struct sal_region *open_region(const struct scene *s, int batch, bool exact,
                                      struct sal_pool *pool)
{
    struct sal_region *region;
    struct sal_error err;
    /* Examples that make boxes worth it everywhere: the others may still be anything. */
    struct sal_region_options options = {.batch = batch, .exact = exact,
                                         .memory = (size_t)1 << 30, .pool = pool,
                                         .examples = &corner, .n_examples = 1};
    struct sal_region_source source = {.one = &s->one,
                                       .all = batch > 1 ? &s->all : &s->one,
                                       .packs = s->packs, .score = s->score, .last = s->last};
    must(sal_region_open_on(&region, &source, &options, s->base, NULL, &err), &err);
    return region;
}

/* Scores of all images, free() them. */
static sal_real *by_boxes(const struct scene *s, struct sal_region *region)
{
    struct sal_error err;
    struct sal_shape shape;
    int batch = region->batch;
    sal_real *y = calloc((size_t)s->n_score * BATCH, sizeof(*y));
    for (int b = 0; b < BATCH; b += batch) {
        enum sal_status status =
            sal_region_forward(region, s->x + b * s->n_x, batch, NULL, &err);
        if (status)
            fail_msg("graph %llu: %s", (unsigned long long)s->number, err.text);
        memcpy(y + b * s->n_score, sal_region_scores(region, &shape),
               sizeof(*y) * (size_t)(s->n_score * batch));
    }
    return y;
}

static sal_real *by_forwards(const struct scene *s, bool exact)
{
    struct sal_run *run;
    struct sal_error err;
    struct sal_run_options options = {.batch = BATCH, .memory = (size_t)1 << 30,
                                      .exact = exact};
    must(sal_run_open_on(&run, &s->all, s->packs, &options, &err), &err);
    must(sal_run_forward(run, s->x, NULL, &err), &err);
    size_t size = sizeof(sal_real) * (size_t)s->n_score * BATCH;
    sal_real *y = malloc(size);
    memcpy(y, sal_run_value(run, s->score, NULL), size);
    sal_run_close(run);
    return y;
}

static double furthest(const sal_real *a, const sal_real *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        most = d <= most ? most : d;
    }
    return most;
}

static double largest(const sal_real *a, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i]));
    return most;
}

static void take_table(uint64_t number)
{
    int n, supported = 0;
    const struct sal_lanes *const *all = sal_lanes_all(&n);
    for (int i = 0; i < n; i++)
        supported += sal_lanes_supported(all[i]);
    sal_lanes_use(all[number % (uint64_t)supported]);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* The number of graphs of which some part was computed in boxes. */
static int each_graph(void (*check)(struct scene *s, struct sal_region *region), bool exact)
{
    enum { BY_HAND = 12 }; /* with other images each */
    uint64_t from = setting("REGION_FROM", 0);
    uint64_t many = setting("REGION_MANY", (uint64_t)test_some(MANY));
    int boxed = 0;
    for (uint64_t i = from; i < from + many + BY_HAND; i++) {
        struct scene s;
        take_table(i);
        open_scene(&s, i, i >= from + many);
        struct sal_region *region = open_region(&s, BATCH, exact, NULL);
        assert_true(!s.last || region->n_steps >= 8);
        boxed += region->n_steps > 0;
        check(&s, region);
        sal_region_close(region);
        close_scene(&s);
    }
    sal_lanes_use(NULL);
    return boxed;
}

static void expect_same(const struct scene *s, const sal_real *got, const sal_real *due,
                        const char *what)
{
    for (int64_t i = 0; i < s->n_score * BATCH; i++)
        if (memcmp(&got[i], &due[i], sizeof(*got)) != 0 && got[i] != due[i]) /* -0 is 0 */
            fail_msg("graph %llu, table %s, %s: element %lld of image %d is %.9g, not %.9g",
                     (unsigned long long)s->number, sal_lanes()->name, what,
                     (long long)(i % s->n_score), (int)(i / s->n_score), (double)got[i],
                     (double)due[i]);
}

/* ---- random graphs ----------------------------------------------------------------------- */

static void poison(struct sal_block *block)
{
    if (block->size)
        memset(block->data, 0xff, block->size);
}

static void compare_bits(struct scene *s, struct sal_region *region)
{
    sal_real *due = by_forwards(s, true), *got = by_boxes(s, region);
    expect_same(s, got, due, "boxes");
    free(got);
    poison(&region->data);
    poison(&region->scratch);
    got = by_boxes(s, region);
    expect_same(s, got, due, "boxes once more");
    free(got);
    free(due);
}

static void boxes_give_the_bits_of_whole_forwards(void **state)
{
    (void)state;
    assert_true(each_graph(compare_bits, true) >= test_some(MANY) / 2 || getenv("REGION_MANY"));
}

static void compare_roughly(struct scene *s, struct sal_region *region)
{
    int64_t n = s->n_score * BATCH;
    sal_real *due = by_forwards(s, false), *exact = by_forwards(s, true);
    sal_real *got = by_boxes(s, region);
    double own = furthest(due, exact, n), apart = furthest(got, due, n);
    if (!(apart <= 4 * own + 1e-6 * largest(due, n)))
        fail_msg("graph %llu, table %s: %g off, Winograd itself %g",
                 (unsigned long long)s->number, sal_lanes()->name, apart, own);
    free(due), free(exact), free(got);
}

static void with_winograd_no_more_is_changed_than_it_rounds(void **state)
{
    (void)state;
    each_graph(compare_roughly, false);
}

/* One by one and on two threads. */
static void compare_batches(struct scene *s, struct sal_region *region)
{
    struct sal_error err;
    struct sal_pool *pool;
    if (s->number % 4)
        return;
    must(sal_pool_open(&pool, 2, &err), &err);
    struct sal_region *other = open_region(s, 1, false, pool);
    sal_real *due = by_boxes(s, region), *got = by_boxes(s, other);
    expect_same(s, got, due, "one by one");
    free(due), free(got);
    sal_region_close(other);
    sal_pool_close(pool);
}

static void batch_and_threads_change_no_bit(void **state)
{
    (void)state;
    each_graph(compare_batches, false);
}

/* ---- a box one too small is noticed ---------------------------------------------------------- */

static const struct sal_region_op *right;

static bool reach_less(const struct sal_node *node, const struct sal_tensor *const *in,
                       int input, struct sal_reach *reach)
{
    bool done = right->reach(node, in, input, reach);
    reach->high[0] -= reach->high[0] > reach->low[0]; /* a row above is forgotten */
    return done;
}

static int noticed, tried;

static void forget_a_row(struct scene *s, struct sal_region *region)
{
    sal_real *due = by_forwards(s, true);
    for (int i = 0; i < region->n_steps; i++) {
        struct sal_region_step *step = &region->steps[i];
        struct sal_reach reach;
        if (!step->op->reach(step->node, step->in, 0, &reach) ||
            reach.high[0] == reach.low[0] || reach.step[0] != 1)
            continue;
        right = step->op;
        struct sal_region_op less = *right;
        less.reach = reach_less;
        step->op = &less;
        sal_real *got = by_boxes(s, region);
        tried++;
        noticed += furthest(got, due, s->n_score * BATCH) > 0;
        free(got);
        step->op = right;
        break;
    }
    free(due);
}

static void a_box_one_row_too_small_is_noticed(void **state)
{
    (void)state;
    tried = noticed = 0;
    each_graph(forget_a_row, true);
    print_message("%d of %d graphs with a row left out differ\n", noticed, tried);
    assert_true(tried >= test_some(MANY) / 6 || getenv("REGION_MANY"));
    assert_true(noticed >= tried / 2); /* not where all was in the box, or nothing reads it */
}

/* ---- models -------------------------------------------------------------------------------- */

static sal_real *picture(const struct sal_model *model)
{
    const struct sal_model_input *input = sal_model_input(model);
    int64_t n = (int64_t)input->channels * input->height * input->width;
    int64_t row = input->layout == SAL_LAYOUT_NHWC ? input->width * input->channels
                                                   : input->width;
    sal_real *x = calloc((size_t)n, sizeof(*x));
    for (int64_t i = 0; i < n; i++) /* black on top: windows that change nothing */
        x[i] = i / row % input->height < input->height / 4
                   ? 0
                   : (sal_real)(0.5 + 0.5 * cos(0.05 * (double)i));
    return x;
}

struct asking {
    bool whole, exact;
    int batch;
    double trim;
};

static struct sal_map map_of(const struct sal_model *model, const sal_real *x,
                             struct sal_pool *pool, struct asking how)
{
    const struct sal_method *method = sal_method_find("occlusion");
    const struct sal_model_input *input = sal_model_input(model);
    struct sal_params params;
    struct sal_map map;
    struct sal_error err;
    int shorter = input->height < input->width ? input->height : input->width;
    char text[4][32];
    snprintf(text[0], sizeof(*text), "window=%d", shorter / 8 + 1);
    snprintf(text[1], sizeof(*text), "stride=%d", shorter / 8 + 1);
    snprintf(text[2], sizeof(*text), "whole=%d", how.whole);
    snprintf(text[3], sizeof(*text), "trim=%g", how.trim);
    sal_params_init(&params, method->params);
    for (int i = 0; i < 4; i++)
        must(sal_params_set(&params, method->params, text[i], "occlusion", &err), &err);
    struct sal_question question = {.model = model, .x = x, .params = &params, .layer = -1,
                                    .batch = how.batch, .exact = how.exact, .pool = pool};
    must(sal_explain(method, &question, &map, &err), &err);
    return map;
}

static double range_of(const struct sal_map *map)
{
    float low = map->values[0], high = low;
    for (int i = 0; i < map->width * map->height; i++) {
        low = fminf(low, map->values[i]);
        high = fmaxf(high, map->values[i]);
    }
    return (double)high - (double)low;
}

static double check_of(const struct sal_map *map, const char *name)
{
    for (int i = 0; i < map->n_checks; i++)
        if (strcmp(map->checks[i].name, name) == 0)
            return map->checks[i].value;
    return NAN;
}

/* Boxes against whole forwards; then of Winograd, what it changes itself. */
static void compare_maps(const char *path)
{
    struct sal_model *model;
    struct sal_pool *pool;
    struct sal_error err;
    must(sal_pool_open(&pool, 2, &err), &err);
    must(sal_model_open(&model, path, &(struct sal_model_options){.pool = pool}, &err), &err);
    sal_real *x = picture(model);
    struct sal_map maps[5];
    const struct asking ways[5] = {{.exact = true}, {.exact = true, .whole = true},
                                   {.batch = 3}, {.whole = true}, {.batch = 7}};
    for (int i = 0; i < 5; i++)
        maps[i] = map_of(model, x, pool, ways[i]);
    int64_t n = (int64_t)maps[0].width * maps[0].height;
    assert_memory_equal(maps[0].values, maps[1].values, sizeof(float) * (size_t)n);
    assert_memory_equal(maps[2].values, maps[4].values, sizeof(float) * (size_t)n);
    double own = 0, apart = 0, range = range_of(&maps[3]);
    for (int64_t i = 0; i < n; i++) {
        own = fmax(own, fabs((double)maps[3].values[i] - (double)maps[1].values[i]));
        apart = fmax(apart, fabs((double)maps[3].values[i] - (double)maps[2].values[i]));
    }
    print_message("%-60s %5.1f %% computed, %.1e of the range off, Winograd %.1e\n", path,
                  check_of(&maps[2], "computed_percent"), apart / range, own / range);
    if (!(apart <= 2 * own + 1e-6 * range))
        fail_msg("%s: %g of a range of %g off, Winograd itself %g", path, apart, range, own);
    for (int i = 0; i < 5; i++)
        sal_map_release(&maps[i]);
    free(x);
    sal_model_close(model);
    sal_pool_close(pool);
}

static void maps_of_all_models_are_those_of_whole_forwards(void **state)
{
    (void)state;
    each_model(compare_maps);
}

/* ---- trimming --------------------------------------------------------------------------------- */

static void what_trimming_changes_is_told(void **state)
{
    (void)state;
    struct sal_model *model;
    struct sal_error err;
    must(sal_model_open(&model, "samples/models/phantom.onnx", &(struct sal_model_options){0},
                        &err), &err);
    sal_real *x = picture(model);
    struct sal_map exact = map_of(model, x, NULL, (struct asking){.exact = true});
    struct sal_map none =
        map_of(model, x, NULL, (struct asking){.exact = true, .trim = 1e-30});
    struct sal_map rough = map_of(model, x, NULL, (struct asking){.exact = true, .trim = 0.1});
    int64_t n = (int64_t)exact.width * exact.height;
    assert_memory_equal(exact.values, none.values, sizeof(float) * (size_t)n);
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)exact.values[i] - (double)rough.values[i]));
    double told = check_of(&rough, "trim_map_error_percent") / 100 * range_of(&rough);
    print_message("trim=0.1: %g told, %g true\n", told, most);
    assert_true(most > 0 && told > most / 4 && told < most * 4);
    assert_true(check_of(&none, "trim_score_error") == 0);
    assert_true(isnan(check_of(&exact, "trim_score_error")));
    sal_map_release(&exact), sal_map_release(&none), sal_map_release(&rough);
    free(x);
    sal_model_close(model);
}

/* ---- stopping ---------------------------------------------------------------------------------- */

static void *stop_soon(void *argument)
{
    struct sal_job *job = argument;
    while (atomic_load(&job->done) < 3)
        sched_yield();
    sal_job_cancel(job);
    return NULL;
}

static void what_is_stopped_leaves_a_part(void **state)
{
    (void)state;
    struct sal_model *model;
    struct sal_error err;
    struct sal_job job = {0};
    pthread_t thread;
    must(sal_model_open(&model, "samples/models/phantom.onnx", &(struct sal_model_options){0},
                        &err), &err);
    sal_real *x = picture(model);
    const struct sal_method *method = sal_method_find("occlusion");
    struct sal_params params;
    struct sal_map map;
    sal_params_init(&params, method->params);
    must(sal_params_set(&params, method->params, "window=9", "occlusion", &err), &err);
    must(sal_params_set(&params, method->params, "stride=1", "occlusion", &err), &err);
    struct sal_question question = {.model = model, .x = x, .params = &params, .layer = -1,
                                    .batch = 2, .job = &job};
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &job), 0);
    must(sal_explain(method, &question, &map, &err), &err);
    pthread_join(thread, NULL);
    assert_true(map.partial && map.forwards >= 6);
    assert_true(check_of(&map, "computed_percent") < 50);
    assert_non_null(strstr(map.note, "so far"));
    sal_map_release(&map);
    free(x);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_give_the_bits_of_whole_forwards),
        cmocka_unit_test(with_winograd_no_more_is_changed_than_it_rounds),
        cmocka_unit_test(batch_and_threads_change_no_bit),
        cmocka_unit_test(a_box_one_row_too_small_is_noticed),
        cmocka_unit_test(what_trimming_changes_is_told),
        cmocka_unit_test(what_is_stopped_leaves_a_part),
        cmocka_unit_test(maps_of_all_models_are_those_of_whole_forwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
