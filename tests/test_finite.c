/* Numbers that are not finite, and who is named for the first of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "methods.h"
#include "onnx_build.h"
#include "small_network.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

enum kind {
    OVERFLOWS, /* exp(1000 x) in the middle, NaN behind it */
    STEEP,     /* sqrt(|y|) at y = 0: finite, its slope is not */
    HIDDEN,    /* 1 / exp(1000 x): finite again */
};

static struct sal_model *network(enum kind kind)
{
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    const float large = 1000, zero = 0, one = 1;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
    onnx_build_waves(&b, "w", 4, DIMS(4, C, 3, 3), 0.5F);
    onnx_build_weights(&b, "large", 0, NULL, &large);
    onnx_build_weights(&b, "zero", 0, NULL, &zero);
    onnx_build_weights(&b, "one", 0, NULL, &one);
    onnx_build_node(&b, "Conv", "x,w", "a");
    onnx_build_name(&b, "first");
    onnx_build_node(&b, "Mul", kind == STEEP ? "a,zero" : "a,large", "m");
    onnx_build_node(&b, kind == STEEP ? "Sqrt" : "Exp", "m", "e");
    onnx_build_name(&b, "middle");
    if (kind == HIDDEN)
        onnx_build_node(&b, "Div", "one,e", "s");
    else if (kind == OVERFLOWS)
        onnx_build_node(&b, "Sub", "e,e", "s");
    else
        onnx_build_node(&b, "Identity", "e", "s");
    onnx_build_name(&b, "behind");
    if (kind == HIDDEN) {
        onnx_build_node(&b, "Tanh", "s", "t");
        onnx_build_node(&b, "GlobalAveragePool", "t", "p");
    } else {
        onnx_build_node(&b, "GlobalAveragePool", "s", "p");
    }
    onnx_build_node(&b, "Flatten", "p", "logits");
    onnx_build_output(&b, "logits", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    unlink(path);
    return model;
}

static void the_first_node_is_named(void **state)
{
    (void)state;
    static const struct {
        enum kind kind;
        const char *says;
    } rows[] = {{OVERFLOWS, "Exp 'middle': makes the first value that is not finite"},
                {STEEP, "Sqrt 'middle': makes the first gradient that is not finite"},
                {HIDDEN, "Exp 'middle': makes the first value that is not finite"}};
    static const char *const methods[] = {"gradient", "gradcam", "ig", "guidedig"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        for (size_t m = 0; m < sizeof(methods) / sizeof(*methods); m++) {
            struct sal_model *model = network(rows[i].kind);
            struct sal_map map;
            struct sal_error err = {0};
            const char *few = m < 2 ? NULL : "steps=3";
            enum sal_status status = ask(model, an_image(), methods[m],
                                         (struct asking){.settings = few}, &map, &err);
            if (m == 1 && !status) { /* a layer behind it may be looked at */
                sal_map_release(&map);
            } else if (status != SAL_BAD_INPUT || !strstr(err.text, rows[i].says)) {
                fail_msg("%s: %d %s", methods[m], status, err.text);
            }
            sal_model_close(model);
        }
}

static void an_input_that_is_not_finite_is_told(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    float x[N];
    memcpy(x, an_image(), sizeof(x));
    x[17] = NAN;
    struct sal_map map;
    struct sal_error err = {0};
    assert_int_equal(ask(model, x, "gradient", (struct asking){0}, &map, &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "the input has a value that is not finite"));
    sal_model_close(model);
}

/* Softmax of logits far apart, explained as a probability. */
static void a_saturated_probability_says_so(void **state)
{
    (void)state;
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
    onnx_build_waves(&b, "w", 4, DIMS(4, C, 3, 3), 500);
    onnx_build_node(&b, "Conv", "x,w", "a");
    onnx_build_node(&b, "GlobalAveragePool", "a", "p");
    onnx_build_node(&b, "Flatten", "p", "logits");
    onnx_build_node(&b, "Softmax", "logits", "probabilities");
    onnx_build_output(&b, "probabilities", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    for (int logit = 0; logit < 2; logit++) {
        must(sal_model_open(&model, path,
                            &(struct sal_model_options){.score = logit ? NULL : "prob"}, err));
        struct sal_map map = map_of(model, "gradient", (struct asking){0});
        assert_true((strstr(map.note, "saturated") == NULL) == logit);
        sal_map_release(&map);
        sal_model_close(model);
    }
    unlink(path);
}

/* Zero, the same number everywhere, or values that a fit of negative R^2 made. */
static enum sal_status odd_map(const struct sal_question *question, struct sal_map *map,
                               struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    enum sal_status status =
        sal_map_init(map, input->width, input->height, input->width, input->height, err);
    for (int i = 0; !status && i < PIXELS; i++)
        map->values[i] = question->layer == 0 ? 0 : 0.25F + (question->layer == 2) * (float)i;
    if (question->layer == 2)
        sal_map_check(map, "r_squared", "R^2", -0.1, "");
    return status;
}

static void odd_maps_explain_themselves(void **state)
{
    (void)state;
    static const char *const says[] = {"zero everywhere", "the same everywhere, 0.25",
                                       "R^2 is below 0"};
    static const struct sal_method odd = {.name = "odd", .title = "Odd", .run = odd_map};
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (int i = 0; i < 3; i++) {
        struct sal_map map;
        struct sal_question question = {.model = model, .x = an_image(), .layer = i};
        must(sal_explain(&odd, &question, &map, err));
        assert_non_null(strstr(map.note, says[i]));
        sal_map_release(&map);
    }
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_node_is_named),
        cmocka_unit_test(an_input_that_is_not_finite_is_told),
        cmocka_unit_test(a_saturated_probability_says_so),
        cmocka_unit_test(odd_maps_explain_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
