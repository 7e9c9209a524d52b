/* The attack on an explanation: its slope on functions whose Hessian is known, that the
 * decision holds, that the map is the one it says, and that noise does less. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attack_models.h"
#include "attacks.h"
#include "data.h"
#include "random.h"
#include "saliscope/agreement.h"
#include "small_network.h"

/* ---- networks of one hidden layer --------------------------------------------------------- */

enum { SIDE = 12, INPUTS = SIDE * SIDE, HIDDEN = 40 };

struct net {
    float u[HIDDEN * INPUTS], v[HIDDEN], w[HIDDEN], b, p[INPUTS];
};

static double uniform(uint64_t *draws, double low, double high)
{
    return low + (high - low) * test_random(draws);
}

static double along(const struct net *net, int k, const float *direction);

/* Each unit looks at a place of its own, so that a map has a top, and is near its bend. */
static void make_net(struct net *net, uint64_t draws, double bend)
{
    for (int k = 0; k < HIDDEN; k++) {
        double y0 = uniform(&draws, 0, SIDE), x0 = uniform(&draws, 0, SIDE);
        for (int i = 0; i < INPUTS; i++) {
            double y = i / SIDE - y0, x = i % SIDE - x0;
            net->u[k * INPUTS + i] = (float)(bend * exp(-(x * x + y * y) / 3) *
                                             uniform(&draws, -1, 1));
        }
        net->w[k] = (float)uniform(&draws, -1, 1);
    }
    for (int i = 0; i < INPUTS; i++)
        net->p[i] = (float)uniform(&draws, 0.25, 0.75);
    for (int k = 0; k < HIDDEN; k++)
        net->v[k] = (float)(uniform(&draws, -0.5, 0.5) - along(net, k, net->p));
    net->b = 0.5F;
}

static struct sal_model *model_of(const struct net *net, const char *unit)
{
    return hidden_model(SIDE, SIDE, HIDDEN, unit, net->u, net->v, 1, net->w, &net->b, "Sigmoid");
}

static double along(const struct net *net, int k, const float *direction)
{
    double sum = 0;
    for (int i = 0; i < INPUTS; i++)
        sum += (double)net->u[k * INPUTS + i] * (double)direction[i];
    return sum;
}

/* w_k times the second derivative of its unit, at p. */
static double bend_of(const struct net *net, int k, const char *unit)
{
    double a = along(net, k, net->p) + (double)net->v[k], sigmoid = 1 / (1 + exp(-a));
    if (strcmp(unit, "Square") == 0)
        return 2 * (double)net->w[k];
    return (double)net->w[k] * sigmoid * (1 - sigmoid); /* softplus */
}

/* H v is within `slack` of its largest element of sum_k w_k unit'' u_k (u_k v). */
static void assert_product(const struct net *net, const char *unit, double eta, double slack)
{
    static float v[INPUTS], out[INPUTS], room[4 * INPUTS];
    struct sal_model *model = model_of(net, unit);
    struct sal_params params;
    sal_params_init(&params, sal_probe_explanation.params);
    struct sal_probe_question question = {.model = model, .x = net->p, .params = &params};
    struct sal_probe_answer answer = {0};
    struct sal_search search;
    const sal_real one = 1;
    uint64_t draws = 5;
    double apart = 0, most = 0;
    for (int i = 0; i < INPUTS; i++)
        v[i] = (float)uniform(&draws, -1, 1);
    must(sal_search_init(&search, &sal_probe_explanation, &question, &answer, err));
    must(sal_hessian_product(&search, net->p, v, eta, &one, room, out, err));
    assert_true(answer.forwards == 2 && answer.backwards == 2 && isinf(search.nearest));
    for (int i = 0; i < INPUTS; i++) {
        double want = 0;
        for (int k = 0; k < HIDDEN; k++)
            want += bend_of(net, k, unit) * (double)net->u[k * INPUTS + i] * along(net, k, v);
        apart = fmax(apart, fabs((double)out[i] - want));
        most = fmax(most, fabs(want));
    }
    if (!(apart <= slack * most))
        fail_msg("%s, eta %g: %g of %g apart", unit, eta, apart, most);
    sal_search_release(&search);
    sal_model_close(model);
}

static void products_with_known_hessians_are_found(void **state)
{
    (void)state;
    static struct net net;
    for (uint64_t i = 0; i < 3; i++) {
        make_net(&net, i, 1);
        assert_product(&net, "Square", 1.0 / 255, 1e-4); /* exactly, but for rounding */
        assert_product(&net, "Square", 0.5, 1e-6);
        assert_product(&net, "Softplus", 0.01, 1e-3);
    }
}

/* Whose second derivative is zero wherever there is one. */
static void kinks_are_seen_from_a_grey_level_away(void **state)
{
    (void)state;
    static struct net net;
    static float v[INPUTS], out[INPUTS], room[4 * INPUTS];
    make_net(&net, 3, 1);
    for (int k = 0; k < HIDDEN; k++) /* all units within a grey level of their kinks */
        net.v[k] = (float)(0.002 - along(&net, k, net.p));
    for (int i = 0; i < INPUTS; i++)
        v[i] = i % 3 ? 1 : -1;
    struct sal_model *model = model_of(&net, "Relu");
    struct sal_params params;
    sal_params_init(&params, sal_probe_explanation.params);
    struct sal_probe_question question = {.model = model, .x = net.p, .params = &params};
    struct sal_probe_answer answer = {0};
    struct sal_search search;
    const sal_real one = 1;
    double most[2] = {0};
    must(sal_search_init(&search, &sal_probe_explanation, &question, &answer, err));
    for (int far = 0; far < 2; far++) {
        double eta = far ? 1.0 / 255 : 1e-5;
        must(sal_hessian_product(&search, net.p, v, eta, &one, room, out, err));
        most[far] = sal_vector_norm(SAL_LINF, out, INPUTS);
    }
    assert_true(most[0] < 1e-2 && most[1] > 1);
    sal_search_release(&search);
    sal_model_close(model);
}

/* ---- what is found ---------------------------------------------------------------------------- */

static struct sal_probe_answer attack(const struct sal_model *model, const float *x, int c,
                                      const char *settings, bool grey)
{
    return probe_of(model, x, "explanation",
                    (struct probing){.settings = settings, .c = c, .grey = grey});
}

static struct sal_map gradient_of(const struct sal_model *model, const float *x, int c)
{
    struct sal_map map;
    struct sal_question question = {.model = model, .x = x, .class_index = c, .layer = -1};
    must(sal_explain(sal_method_find("gradient"), &question, &map, err));
    return map;
}

/* Of the map that the method makes of the picture that was left. */
static double overlap_of(const struct sal_model *model, const float *x, const float *altered,
                         int c, double top)
{
    struct sal_map before = gradient_of(model, x, c), after = gradient_of(model, altered, c);
    struct sal_map_agreement agreement;
    must(sal_map_agreement_of(before.values, after.values, before.height, before.width, top,
                              &agreement, err));
    sal_map_release(&before);
    sal_map_release(&after);
    return agreement.overlap;
}

/* f of a net of softplus units or ReLUs. */
static double f_of(const struct net *net, bool relu)
{
    double f = (double)net->b;
    for (int k = 0; k < HIDDEN; k++) {
        double a = along(net, k, net->p) + (double)net->v[k];
        f += (double)net->w[k] * (relu ? fmax(a, 0) : log1p(exp(a)));
    }
    return f;
}

static void the_decision_holds_and_the_map_is_the_method_s(void **state)
{
    (void)state;
    static struct net net;
    int found = 0;
    const int many = test_some(12);
    for (int i = 0; i < many; i++) {
        make_net(&net, (uint64_t)i, 5);
        if (i >= 6) /* a hair from the threshold, on either side */
            net.b -= (float)(f_of(&net, i % 2) - (i % 4 < 2 ? 0.004 : -0.004));
        struct sal_model *model = model_of(&net, i % 2 ? "Relu" : "Softplus");
        const double drift = i % 3 ? 0.05 : 0.001;
        char settings[96];
        snprintf(settings, sizeof(settings), "eps=%g steps=20 draws=4 drift=%g top=0.1%s",
                 i % 4 < 2 ? 0.02 : 0.1, drift, i % 4 == 3 ? " criterion=sum" : "");
        struct sal_probe_answer a = attack(model, net.p, 0, settings, false);
        assert_int_equal(a.sought, SAL_SEEK_EXPLANATION);
        assert_answer_is_honest(model, net.p, 0, &a);
        assert_true(a.called_before == a.called_after && !a.flipped);
        assert_true(fabs(a.score_after - a.score_before) <= drift);
        assert_true(a.displaced.top == 14 && a.displaced.draws == 4);
        found += a.found;
        if (a.found) {
            assert_true(a.displaced.overlap < 1 && a.distance.changed > 0);
            assert_true(fabs(overlap_of(model, net.p, a.x, 0, 0.1) - a.displaced.overlap) <=
                        1e-9);
            for (int p = 0; p < INPUTS; p++)
                a.picture[p] = (float)(round((double)a.picture[p] * 255) / 255);
            assert_true(fabs(overlap_of(model, net.p, a.picture, 0, 0.1) - a.displaced.stored) <=
                        1e-9);
        }
        sal_probe_answer_release(&a);
        sal_model_close(model);
    }
    assert_int_equal(found, many);
}

/* Both decisions, of several classes, colours and their ties. */
static void colours_and_ties_make_no_difference(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    static float x[N];
    for (int tied = 0; tied < 2; tied++)
        for (int c = 0; c < CLASSES; c++) {
            uint64_t draws = 6;
            for (int i = 0; i < N; i++)
                x[i] = tied && i >= PIXELS ? x[i - PIXELS] : (float)test_random(&draws);
            struct sal_probe_answer a =
                attack(model, x, c, "eps=0.1 steps=20 draws=2", tied);
            assert_answer_is_honest(model, x, c, &a);
            assert_true(a.found && a.planes == (tied ? 1 : C));
            assert_true(fabs(a.displaced.overlap - overlap_of(model, x, a.x, c, 0.05)) <=
                        1.0 / (double)a.displaced.top + 1e-9); /* where h is equal but for
                                                                  rounding */
            sal_probe_answer_release(&a);
        }
    sal_model_close(model);
}

/* By far: else it would be noise. */
static void noise_of_the_same_norm_does_less(void **state)
{
    (void)state;
    static struct net net;
    double left = 0, noise = 0;
    enum { MANY = 8 }; /* what is said is of their mean */
    for (int i = 0; i < MANY; i++) {
        make_net(&net, 20 + (uint64_t)i, 5);
        struct sal_model *model = model_of(&net, i % 2 ? "Relu" : "Softplus");
        struct sal_probe_answer a =
            attack(model, net.p, 0, "eps=0.08 steps=40 draws=10 top=0.1", false);
        assert_true(a.found && a.displaced.overlap < a.displaced.noise);
        assert_true(a.displaced.noise_low <= a.displaced.noise &&
                    a.displaced.noise <= a.displaced.noise_high);
        left += a.displaced.overlap / MANY;
        noise += a.displaced.noise / MANY;
        const struct sal_series *held = sal_probe_series(&a, "overlap_held");
        const struct sal_series *all = sal_probe_series(&a, "overlap");
        assert_true(held && all && held->n == 41 && all->n == 41 && all->y[0] == 1);
        for (int k = 1; k < held->n; k++)
            assert_true(held->y[k] <= held->y[k - 1]);
        assert_true(held->y[40] == a.displaced.overlap);
        sal_probe_answer_release(&a);
        sal_model_close(model);
    }
    assert_true(left < 0.5 * noise);
}

/* Of the whole map, also of what may not be altered; and the noise is that of sal_probe_noised. */
static void masks_do_not_hide_the_map(void **state)
{
    (void)state;
    static struct net net;
    static float noised[INPUTS];
    uint8_t mask[INPUTS];
    make_net(&net, 41, 5);
    for (int i = 0; i < INPUTS; i++)
        mask[i] = i / SIDE < 6;
    struct sal_model *model = model_of(&net, "Softplus");
    struct sal_probe_answer a = probe_of(
        model, net.p, "explanation",
        (struct probing){.settings = "eps=0.1 steps=20 draws=3 top=0.1", .mask = mask, .seed = 9});
    assert_true(a.found);
    assert_true(fabs(overlap_of(model, net.p, a.x, 0, 0.1) - a.displaced.overlap) <= 1e-9);
    struct sal_probe_question question = {
        .model = model, .x = net.p, .mask = mask, .seed = 9};
    double mean = 0;
    for (uint64_t i = 0; i < 3; i++) {
        must(sal_probe_noised(&question, SAL_LINF, 0.1, false, i, noised, err));
        mean += overlap_of(model, net.p, noised, 0, 0.1) / 3;
    }
    assert_true(fabs(mean - a.displaced.noise) <= 1e-9);
    for (int i = 0; i < INPUTS; i++)
        assert_true(mask[i] || a.x[i] == net.p[i]);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

/* The drift that is allowed is used only as far as it goes. */
static void more_may_be_found_with_more_room(void **state)
{
    (void)state;
    static struct net net;
    make_net(&net, 31, 5);
    struct sal_model *model = model_of(&net, "Softplus");
    struct sal_probe_answer none =
        attack(model, net.p, 0, "eps=0.08 steps=30 drift=0 draws=0", false);
    assert_true(none.score_after == none.score_before && none.displaced.top > 0);
    sal_probe_answer_release(&none);
    double last = 1;
    for (int i = 1; i <= 4; i++) { /* steps alike */
        char settings[96];
        snprintf(settings, sizeof(settings), "eps=0.08 step=0.01 steps=%d draws=0", 5 * i);
        struct sal_probe_answer a = attack(model, net.p, 0, settings, false);
        assert_true(a.found && a.displaced.overlap <= last);
        last = a.displaced.overlap;
        sal_probe_answer_release(&a);
    }
    sal_model_close(model);
}

/* A gradient that is the same everywhere cannot be moved, one that is zero has no top. */
static void straight_and_constant_models_are_told(void **state)
{
    (void)state;
    float w[INPUTS], b = 0.1F, x[INPUTS];
    for (int zero = 0; zero < 2; zero++) {
        for (int i = 0; i < INPUTS; i++) {
            w[i] = zero ? 0 : (float)sin(i + 1.0);
            x[i] = 0.5F;
        }
        struct sal_model *model = linear_model(1, SIDE, SIDE, 1, w, &b, "Sigmoid", NULL);
        struct sal_probe_answer a = attack(model, x, 0, "eps=0.1 steps=5 draws=3", false);
        assert_answer_is_honest(model, x, 0, &a);
        assert_true(!a.found && a.distance.changed == 0 && isnan(a.displaced.overlap));
        assert_true(zero ? a.displaced.top == 0 && a.n_lights == 1 && a.lights[0].alarm
                         : a.displaced.noise == 1 && *a.note);
        sal_probe_answer_release(&a);
        sal_model_close(model);
    }
}

/* One ReLU, a hair above its kink, which noise puts out. */
static void a_map_that_is_gone_is_no_other_map(void **state)
{
    (void)state;
    static float noised[INPUTS];
    float u[INPUTS], x[INPUTS], v = 0.02F, w = 1, b = 0.3F;
    for (int i = 0; i < INPUTS; i++) {
        u[i] = (float)(0.01 * (1 + i % 7));
        x[i] = 0.5F;
        v -= u[i] * x[i];
    }
    struct sal_model *model = hidden_model(SIDE, SIDE, 1, "Relu", u, &v, 1, &w, &b, "Sigmoid");
    struct sal_probe_answer a = attack(model, x, 0, "eps=0.1 steps=2 draws=10 top=0.3", false);
    struct sal_probe_question question = {.model = model, .x = x};
    int out = 0;
    for (uint64_t k = 0; k < 10; k++) {
        double sum = (double)v;
        must(sal_probe_noised(&question, SAL_LINF, 0.1, false, k, noised, err));
        for (int i = 0; i < INPUTS; i++)
            sum += (double)u[i] * (double)noised[i];
        out += sum < 0;
    }
    assert_true(out > 0 && a.displaced.draws == 10 && a.displaced.noise == 1);
    sal_probe_answer_release(&a);
    sal_model_close(model);
}

/* ---- real models ------------------------------------------------------------------------------- */

/* A grey level or two: nothing that is seen. */
static const struct {
    const char *model, *image, *preset, *settings;
    double most; /* overlap that may be left, of that under noise */
} real[] = {
    {"models/squeezenet1_1_fp32.onnx", "refs/06_squeezenet1_1_fp32__n02391049_zebra/input.png",
     "imagenet", "eps=1/255 steps=10 draws=4", 0.5},
    {"models/edgepneumonet_logit.onnx", "refs/00_edgepneumonet_logit__00013731_000/input.png",
     "imagenet", "eps=1/255 steps=10 draws=4", 0.25},
    {"models/tm_cxr3.onnx", "refs/10_tm_cxr3__Normal-Sample-1/input.png", "inception",
     "eps=1/255 steps=10 draws=4", 0.25},
};

static void real_maps_move_far_below_noise(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(real) / sizeof(*real); i++) {
        char path[512], picture[512];
        struct sal_model *model = NULL;
        struct sal_image image;
        if (!shared_data(real[i].model, path, sizeof(path)) ||
            !shared_data(real[i].image, picture, sizeof(picture)))
            continue;
        must(sal_model_open(&model, path,
                            &(struct sal_model_options){.preset = real[i].preset}, err));
        must(sal_image_load(&image, picture, SAL_SANDBOX_BEST, err));
        sal_real *x = calloc((size_t)sal_input_elements(model), sizeof(*x));
        must(sal_model_prepare(model, &image, x, err));
        struct sal_probe_answer a = probe_of(
            model, x, "explanation", (struct probing){.settings = real[i].settings, .threads = 2});
        assert_answer_is_honest(model, x, 0, &a);
        if (!(a.found && a.displaced.overlap <= real[i].most * a.displaced.noise))
            fail_msg("%s: %g left, under noise %g", real[i].model, a.displaced.overlap,
                     a.displaced.noise);
        sal_probe_answer_release(&a);
        free(x);
        sal_image_release(&image);
        sal_model_close(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_with_known_hessians_are_found),
        cmocka_unit_test(kinks_are_seen_from_a_grey_level_away),
        cmocka_unit_test(the_decision_holds_and_the_map_is_the_method_s),
        cmocka_unit_test(colours_and_ties_make_no_difference),
        cmocka_unit_test(noise_of_the_same_norm_does_less),
        cmocka_unit_test(masks_do_not_hide_the_map),
        cmocka_unit_test(more_may_be_found_with_more_room),
        cmocka_unit_test(straight_and_constant_models_are_told),
        cmocka_unit_test(a_map_that_is_gone_is_no_other_map),
        cmocka_unit_test(real_maps_move_far_below_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
