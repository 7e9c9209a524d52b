#include "region_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "small_network.h"

bool in_box(int i, int top, int left, int bottom, int right)
{
    int y = i / COLUMNS, x = i % COLUMNS;
    return y >= top && y < bottom && x >= left && x < right;
}

struct plain make_plain(uint64_t seed, double f0)
{
    struct plain m = {.f = f0};
    double sum = 0;
    for (int i = 0; i < SIZE; i++) {
        m.w[i] = (float)(2 * test_random(&seed) - 1);
        m.x[i] = (float)(0.2 + 0.6 * test_random(&seed));
        m.roi[i] = in_box(i, 2, 9, 5, 13);
        sum += (double)m.w[i] * (double)m.x[i];
    }
    m.b = (float)(f0 - sum);
    m.f = sum + (double)m.b;
    m.model = linear_model(1, ROWS, COLUMNS, 1, m.w, &m.b, "Sigmoid", NULL);
    return m;
}

void plain_reopen(struct plain *m)
{
    sal_model_close(m->model);
    m->model = linear_model(1, ROWS, COLUMNS, 1, m->w, &m->b, "Sigmoid", NULL);
}

double fact_of(const struct sal_probe_answer *a, const char *name)
{
    for (int i = 0; i < a->n_facts; i++)
        if (strcmp(a->facts[i].name, name) == 0)
            return a->facts[i].value;
    fail_msg("there is no fact %s", name);
    return 0;
}

const struct sal_trial *trial_of(const struct sal_probe_answer *a, const char *title)
{
    for (int i = 0; i < a->n_trials; i++)
        if (strcmp(a->trials[i].title, title) == 0)
            return &a->trials[i];
    fail_msg("there is no trial '%s'", title);
    return NULL;
}

const float *noisy_input(const struct sal_model *model, uint64_t seed)
{
    static float x[N];
    const struct sal_preprocessing *spec = sal_model_preprocessing(model);
    for (int c = 0; c < C; c++)
        for (int i = 0; i < PIXELS; i++)
            x[sal_input_place(sal_model_input(model), c, i)] =
                (float)((floor(test_random(&seed) * 256) / 255 - spec->mean[c]) /
                        spec->std[c]);
    return x;
}

const uint8_t *holey_region(void)
{
    static uint8_t roi[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        roi[i] = i / W >= 4 && i / W < 9 && i % W >= 3 && i % W < 9 && i % 5;
    return roi;
}
