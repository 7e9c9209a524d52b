/* Lowered graphs against the models that they are made from, over random ones: the same
 * values and gradients within rounding, the same bits for any batch, any number of threads
 * and whatever lay in memory before. In both precisions: in double rounding hides nothing.
 *
 * LOWER_FROM and LOWER_MANY in the environment: which graphs, and how many. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "graphs.h"
#include "lanes.h"
#include "lower.h"
#include "packs.h"
#include "poison.h"
#include "random.h"
#include "run_parts.h"
#include "run_state.h"
#include "saliscope/model.h"
#include "saliscope/pool.h"

enum { BATCH = 3, LOOKED = 64, MANY = 300, TRIES = 3 };

/* Of the largest element; what is smaller than the least is held against that. */
#ifdef SAL_DOUBLE
static const double value_error = 1e-10, gradient_error = 1e-8, least = 1e-6;
#else
static const double value_error = 3e-4, gradient_error = 3e-3, least = 1e-3;
#endif

/* ---- a graph, and what is asked of it ----------------------------------------------- */

struct scene {
    uint64_t number;
    struct graphs made;
    struct sal_onnx onnx;
    struct sal_graph graph, wide; /* of one image, of BATCH */
    int looked[LOOKED], n_looked; /* values that are read and differentiated for */
    int score;
    int64_t index;
    int64_t n_x; /* reals of an image */
    sal_real *x; /* BATCH images */
};

static bool can_be_looked_at(const struct scene *s, int id)
{
    const struct sal_value *value = &s->graph.values[id];
    return value->live && !value->tensor.data && value->tensor.kind == SAL_REAL;
}

static void look(struct scene *s, int id)
{
    for (int i = 0; i < s->n_looked; i++)
        if (s->looked[i] == id)
            return;
    if (s->n_looked < LOOKED && can_be_looked_at(s, id))
        s->looked[s->n_looked++] = id;
}

/* The input, the outputs, and others at random: of one graph in three none. */
static void choose(struct scene *s)
{
    int rarely = 3 + graphs_roll(&s->made, 12);
    bool none = graphs_roll(&s->made, 3) == 0;
    look(s, s->graph.inputs[0]);
    for (int i = 0; i < s->graph.n_outputs; i++)
        look(s, s->graph.outputs[i]);
    for (int i = 0; i < s->graph.n_values && !none; i++)
        if (graphs_roll(&s->made, rarely) == 0)
            look(s, i);
    s->score = s->looked[1 + graphs_roll(&s->made, s->n_looked - 1)];
    int64_t n = sal_shape_count(&s->graph.values[s->score].tensor.shape);
    s->index = graphs_roll(&s->made, (int)n);
}

static void fill(struct scene *s)
{
    for (int64_t i = 0; i < BATCH * s->n_x; i++)
        s->x[i] = (sal_real)(4 * test_random(&s->made.state) - 2);
}

static void must(enum sal_status status, const struct scene *s, const struct sal_error *err)
{
    if (status)
        fail_msg("graph %llu: %s", (unsigned long long)s->number, err->text);
}

/* Of the graph that was made. */
static void open_scene(struct scene *s)
{
    struct sal_error err = {0};
    must(sal_onnx_parse(&s->onnx, onnx_build_finish(&s->made.b), "t.onnx", &err), s, &err);
    must(sal_graph_build(&s->graph, &s->onnx, &(struct sal_graph_options){0}, &err), s, &err);
    struct sal_shape shape = s->graph.values[s->graph.inputs[0]].tensor.shape;
    s->n_x = sal_shape_count(&shape);
    shape.dim[0] = BATCH;
    must(sal_graph_build(&s->wide, &s->onnx, &(struct sal_graph_options){.shapes = &shape},
                         &err), s, &err);
    s->x = calloc((size_t)(BATCH * s->n_x), sizeof(*s->x));
    assert_non_null(s->x);
    choose(s);
    fill(s);
}

static void close_scene(struct scene *s)
{
    free(s->x);
    sal_graph_release(&s->wide);
    sal_graph_release(&s->graph);
    sal_onnx_close(&s->onnx);
    graphs_release(&s->made);
}

/* ---- one way to run it ------------------------------------------------------------- */

struct way {
    bool plain, exact, gradient;
    bool wide;   /* all images at once; else image number `which` */
    int which;
    bool dirty;  /* memory holds NaN before */
    bool used;   /* the run has answered another question before */
    struct sal_pool *pool;
};

/* Values, then gradients, of what is looked at. */
struct answer {
    sal_real *piece[2 * LOOKED];
    int64_t n[2 * LOOKED];
};

static void answer_release(struct answer *answer)
{
    for (int i = 0; i < 2 * LOOKED; i++)
        free(answer->piece[i]);
}

static void keep_piece(struct answer *answer, int i, const sal_real *from, int64_t n)
{
    assert_non_null(from);
    answer->n[i] = n;
    answer->piece[i] = malloc(sizeof(*from) * (size_t)n);
    assert_non_null(answer->piece[i]);
    memcpy(answer->piece[i], from, sizeof(*from) * (size_t)n);
}

static void soil(struct sal_block *block)
{
    if (block->data)
        memset(block->data, 0xff, block->size);
}

static struct sal_run_options options_of(const struct scene *s, const struct way *way)
{
    return (struct sal_run_options){
        .batch = way->wide ? BATCH : 1, .gradient = way->gradient, .keep = s->looked,
        .n_keep = s->n_looked, .memory = (size_t)1 << 30, .exact = way->exact,
        .plain = way->plain, .pool = way->pool};
}

/* Another image, other gradients, one of them twice. */
static void use(const struct scene *s, struct sal_run *run)
{
    struct sal_error err = {0};
    int first = s->looked[0], last = s->looked[s->n_looked - 1];
    must(sal_run_forward(run, s->x, NULL, &err), s, &err);
    must(sal_run_backward(run, s->score, s->index, &first, 1, NULL, &err), s, &err);
    must(sal_run_backward(run, last, 0, &first, 1, NULL, &err), s, &err);
}

/* What the run answers; graph: what it was made from. */
static void answer_with(const struct scene *s, const struct way *way,
                        const struct sal_graph *graph, struct sal_run *run,
                        struct answer *answer)
{
    struct sal_error err = {0};
    *answer = (struct answer){0};
    if (way->used)
        use(s, run);
    if (way->dirty) {
        soil(&run->memory);
        soil(&run->scratch);
    }
    const sal_real *x = way->wide ? s->x : s->x + way->which * s->n_x;
    must(sal_run_forward(run, x, NULL, &err), s, &err);
    for (int i = 0; i < s->n_looked; i++)
        keep_piece(answer, i, sal_run_value(run, s->looked[i], NULL),
                   sal_shape_count(&graph->values[s->looked[i]].tensor.shape));
    if (way->gradient) {
        must(sal_run_backward(run, s->score, s->index, s->looked, s->n_looked, NULL, &err), s,
             &err);
        for (int i = 0; i < s->n_looked; i++)
            keep_piece(answer, LOOKED + i, sal_run_gradient(run, s->looked[i]), answer->n[i]);
    }
}

static void ask(const struct scene *s, const struct way *way, struct answer *answer)
{
    const struct sal_graph *graph = way->wide ? &s->wide : &s->graph;
    struct sal_run *run;
    struct sal_error err = {0};
    struct sal_run_options options = options_of(s, way);
    must(sal_run_open_graph(&run, graph, &options, &err), s, &err);
    answer_with(s, way, graph, run, answer);
    sal_run_close(run);
}

/* ---- comparing ------------------------------------------------------------------------ */

static void name_piece(const struct scene *s, int piece, char *text, size_t size)
{
    snprintf(text, size, "graph %llu, %s%s (score %s)", (unsigned long long)s->number,
             piece < LOOKED ? "" : "d/d", s->graph.values[s->looked[piece % LOOKED]].name,
             s->graph.values[s->score].name);
}

static bool is_near(const struct answer *got, const struct answer *right, int piece,
                    double *distance)
{
    double size = least, error = piece < LOOKED ? value_error : gradient_error;
    *distance = 0;
    for (int64_t i = 0; i < right->n[piece]; i++)
        size = fmax(size, fabs((double)right->piece[piece][i]));
    for (int64_t i = 0; i < right->n[piece]; i++) {
        double d = fabs((double)got->piece[piece][i] - (double)right->piece[piece][i]);
        if (!(d <= *distance))
            *distance = d;
    }
    return *distance <= error * size;
}

/* False: not alike, text says where. Without a gradient `got` has only values. */
static bool alike(const struct scene *s, const struct answer *got, const struct answer *right,
                  char *text, size_t size)
{
    for (int i = 0; i < 2 * LOOKED; i++) {
        double distance;
        if (!got->piece[i] || is_near(got, right, i, &distance))
            continue;
        name_piece(s, i, text, size);
        size_t used = strlen(text);
        snprintf(text + used, size - used, ": %g off", distance);
        return false;
    }
    return true;
}

/* Image `which` of all has the bits of that image alone; or `got` has those of `right`. */
static void expect_bits(const struct scene *s, const struct answer *got, int which,
                        const struct answer *right, const char *what)
{
    for (int i = 0; i < 2 * LOOKED; i++) {
        if (!right->piece[i])
            continue;
        const sal_real *from = got->piece[i] + which * right->n[i];
        if (memcmp(from, right->piece[i], sizeof(*from) * (size_t)right->n[i]) == 0)
            continue;
        char text[256];
        int64_t at = 0;
        while (memcmp(&from[at], &right->piece[i][at], sizeof(*from)) == 0)
            at++;
        name_piece(s, i, text, sizeof(text));
        fail_msg("%s, table %s: %s: element %lld of %lld is %.9g, not %.9g", text,
                 sal_lanes()->name, what, (long long)at, (long long)right->n[i],
                 (double)from[at], (double)right->piece[i][at]);
    }
}

/* ---- tests ---------------------------------------------------------------------------- */

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Every graph on one of the tables that run here. */
static void take_table(uint64_t number)
{
    int n, supported = 0;
    const struct sal_lanes *const *all = sal_lanes_all(&n);
    for (int i = 0; i < n; i++)
        supported += sal_lanes_supported(all[i]);
    sal_lanes_use(all[number % (uint64_t)supported]);
}

static void each_graph(void (*check)(struct scene *s))
{
    uint64_t from = setting("LOWER_FROM", 0);
    uint64_t many = setting("LOWER_MANY", (uint64_t)test_some(MANY));
    for (uint64_t i = from; i < from + many; i++) {
        struct scene s = {.number = i};
        take_table(i);
        graphs_make(&s.made, i);
        open_scene(&s);
        check(&s);
        close_scene(&s);
    }
    sal_lanes_use(NULL);
}

/* A kink that rounding has crossed is another one, or none, with another image. */
static void compare_ways(struct scene *s)
{
    static const struct way ways[] = {{.gradient = true}, {.gradient = false},
                                      {.gradient = true, .exact = true}};
    const struct way model = {.plain = true, .gradient = true};
    char text[256] = "";
    bool good = false;
    for (int try = 0; try < TRIES && !good; try++) {
        struct answer right, got;
        good = true;
        ask(s, &model, &right);
        for (size_t i = 0; i < sizeof(ways) / sizeof(*ways) && good; i++) {
            ask(s, &ways[i], &got);
            good = alike(s, &got, &right, text, sizeof(text));
            answer_release(&got);
        }
        answer_release(&right);
        if (!good)
            fill(s);
    }
    if (!good)
        fail_msg("%s, table %s", text, sal_lanes()->name);
}

static void lowered_graphs_compute_what_models_say(void **state)
{
    (void)state;
    each_graph(compare_ways);
}

static void compare_bits(struct scene *s)
{
    const struct way way = {.gradient = true, .dirty = true};
    struct way other = {.gradient = true};
    struct answer right[BATCH], got;
    for (int i = 0; i < BATCH; i++) {
        struct way one = way;
        one.which = i;
        ask(s, &one, &right[i]);
    }
    ask(s, &other, &got);
    expect_bits(s, &got, 0, &right[0], "in clean memory");
    answer_release(&got);
    other.which = 1;
    other.used = true;
    ask(s, &other, &got);
    expect_bits(s, &got, 0, &right[1], "in a run that was used");
    answer_release(&got);
    other.which = 0;
    other.used = false;
    for (int threads = 1; threads <= 3; threads++) {
        assert_int_equal(sal_pool_open(&other.pool, threads, NULL), SAL_OK);
        other.wide = false;
        ask(s, &other, &got);
        expect_bits(s, &got, 0, &right[0], "on threads");
        answer_release(&got);
        other.wide = true;
        other.dirty = threads == 2;
        ask(s, &other, &got);
        for (int i = 0; i < BATCH; i++)
            expect_bits(s, &got, i, &right[i], "in a batch");
        answer_release(&got);
        sal_pool_close(other.pool);
    }
    for (int i = 0; i < BATCH; i++)
        answer_release(&right[i]);
}

static void bits_depend_on_neither_batch_nor_threads_nor_memory(void **state)
{
    (void)state;
    each_graph(compare_bits);
}

/* All runs of a model share packed weights, whatever they fuse. */
static void share_packs(struct scene *s)
{
    static const struct way ways[] = {{.gradient = false}, {.gradient = true},
                                      {.exact = true}, {.gradient = true, .wide = true},
                                      {.gradient = true}};
    char path[ONNX_BUILD_PATH];
    struct sal_model *model;
    struct sal_error err = {0};
    struct graphs again;
    graphs_make(&again, s->number);
    assert_true(onnx_build_save(&again.b, path));
    enum sal_status status = sal_model_open(&model, path, &(struct sal_model_options){0}, &err);
    unlink(path);
    if (!status)
        look(s, sal_model_output(model)->value); /* runs of models always do */
    for (size_t i = 0; !status && i < sizeof(ways) / sizeof(*ways); i++) {
        struct answer right, got;
        struct sal_run *run;
        struct sal_run_options options = options_of(s, &ways[i]);
        const struct sal_graph *graph = ways[i].wide ? &s->wide : &s->graph;
        ask(s, &ways[i], &right);
        must(sal_run_open(&run, model, &options, &err), s, &err);
        answer_with(s, &ways[i], graph, run, &got);
        expect_bits(s, &got, 0, &right, "with others' packed weights");
        sal_run_close(run);
        answer_release(&got);
        answer_release(&right);
    }
    if (!status)
        sal_model_close(model);
}

static void runs_share_what_is_packed(void **state)
{
    (void)state;
    each_graph(share_packs);
}

static void take_at_word(struct scene *s)
{
    struct sal_graph lowered = {0};
    struct sal_error err = {0};
    struct poisoning p = {0};
    struct sal_packs *packs = sal_packs_open();
    bool *kept = calloc((size_t)s->graph.n_values, sizeof(*kept));
    int64_t n = sal_shape_count(&s->graph.values[s->score].tensor.shape);
    sal_real *dy = calloc((size_t)n, sizeof(*dy));
    assert_true(packs && kept && dy);
    for (int i = 0; i < s->n_looked; i++)
        kept[s->looked[i]] = true;
    dy[s->index] = 1;
    struct sal_lower_options options = {.kept = kept, .wrt = kept, .packs = packs};
    must(sal_lower(&lowered, &s->graph, &options, &err), s, &err);
    must(poisoning_init(&p, &lowered, NULL, &err), s, &err);
    for (int i = 0; i < s->n_looked; i++) {
        struct sal_tensor *x = sal_run_tensor(p.run, lowered.inputs[0]);
        memcpy(x->real, s->x, sizeof(*s->x) * (size_t)s->n_x);
        if (s->looked[i] != s->score)
            must(poisoning_try(&p, s->score, s->looked[i], dy, &err), s, &err);
    }
    poisoning_release(&p);
    sal_graph_release(&lowered);
    sal_packs_close(packs);
    free(kept);
    free(dy);
}

static void backwards_read_what_they_say(void **state)
{
    (void)state;
    each_graph(take_at_word);
}

/* ---- what once went wrong ---------------------------------------------------------------- */

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

static void check_model(void make(struct onnx_build *b))
{
    struct scene s = {.number = 0};
    onnx_build_init(&s.made.b, 17);
    make(&s.made.b);
    open_scene(&s);
    compare_ways(&s);
    compare_bits(&s);
    take_at_word(&s);
    close_scene(&s);
}

static void vectors(struct onnx_build *b)
{
    onnx_build_weights(b, "scale", 1, DIMS(2), (float[]){1, 0.5f});
    onnx_build_weights(b, "small", 1, DIMS(2), (float[]){0.1f, 0.2f});
    onnx_build_weights(b, "large", 1, DIMS(2), (float[]){4, 9});
}

static void two_norms(struct onnx_build *b)
{
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, 8, 4, 4));
    onnx_build_waves(b, "w", 4, DIMS(2, 8, 1, 1), 0.5f);
    vectors(b);
    onnx_build_node(b, "Conv", "x,w", "a");
    onnx_build_node(b, "BatchNormalization", "a,scale,small,small,small", "b");
    onnx_build_node(b, "Conv", "x,w", "c");
    onnx_build_node(b, "BatchNormalization", "c,scale,small,small,large", "d");
    onnx_build_node(b, "Concat", "b,d", "y");
    onnx_build_int(b, "axis", 1);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void normalisations_may_share_their_scale(void **state)
{
    (void)state;
    check_model(two_norms);
}

static void two_windows(struct onnx_build *b)
{
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, 8, 6, 6));
    onnx_build_waves(b, "w", 4, DIMS(8, 8, 3, 3), 0.5f);
    onnx_build_node(b, "Conv", "x,w", "a");
    onnx_build_ints(b, "strides", 2, DIMS(2, 2));
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(b, "Conv", "a,w", "y");
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void windows_may_share_their_weights(void **state)
{
    (void)state;
    check_model(two_windows);
}

static void two_groups(struct onnx_build *b)
{
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, 16, 3, 3));
    onnx_build_waves(b, "w", 4, DIMS(32, 8, 1, 1), 0.5f);
    onnx_build_node(b, "Conv", "x,w", "a");
    onnx_build_int(b, "group", 2);
    onnx_build_node(b, "Conv", "a,w", "y");
    onnx_build_int(b, "group", 4);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void groups_may_share_their_weights(void **state)
{
    (void)state;
    check_model(two_groups);
}

static void three_times(struct onnx_build *b)
{
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, 3, 80, 80));
    onnx_build_waves(b, "w", 4, DIMS(1, 9, 1, 1), 0.5f);
    onnx_build_node(b, "Concat", "x,x,x", "a");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "Conv", "a,w", "b");
    onnx_build_node(b, "GlobalAveragePool", "b", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void parts_of_a_row_may_be_the_same(void **state)
{
    (void)state;
    check_model(three_times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowered_graphs_compute_what_models_say),
        cmocka_unit_test(bits_depend_on_neither_batch_nor_threads_nor_memory),
        cmocka_unit_test(runs_share_what_is_packed),
        cmocka_unit_test(backwards_read_what_they_say),
        cmocka_unit_test(normalisations_may_share_their_scale),
        cmocka_unit_test(windows_may_share_their_weights),
        cmocka_unit_test(groups_may_share_their_weights),
        cmocka_unit_test(parts_of_a_row_may_be_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
