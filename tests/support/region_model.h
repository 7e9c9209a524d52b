/*
 * Pictures with a region, of models whose answers can be worked out, and what probes
 * say of them.
 */
#ifndef TESTS_REGION_MODEL_H
#define TESTS_REGION_MODEL_H

#include "attack_models.h"

enum { ROWS = 12, COLUMNS = 15, SIZE = ROWS * COLUMNS };

/* A sigmoid of f = w x + b, with a region. */
struct plain {
    float w[SIZE], x[SIZE], b;
    uint8_t roi[SIZE];
    double f; /* at x */
    struct sal_model *model;
};

/* f = f0 at a random picture; the region is 3 rows x 4 columns at row 2, column 9. */
struct plain make_plain(uint64_t seed, double f0);

/* Opens the model anew, of what w and b are now. */
void plain_reopen(struct plain *m);

/* Pixel i of COLUMNS columns is in rows top..bottom-1 and columns left..right-1. */
bool in_box(int i, int top, int left, int bottom, int right);

/* What is there, or the test fails. */
double fact_of(const struct sal_probe_answer *a, const char *name);
const struct sal_trial *trial_of(const struct sal_probe_answer *a, const char *title);

/* Of the networks of small_network.h: a picture in 256 levels as an input, and a region
 * [PIXELS] with holes. */
const float *noisy_input(const struct sal_model *model, uint64_t seed);
const uint8_t *holey_region(void);

#endif
