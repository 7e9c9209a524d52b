/*
 * Propagation rules: backwards that put something else in the place of the gradient.
 *
 * A run opened with a set of them (sal_run_options.propagation) computes the same forward;
 * its backward is the chain rule, in which operators that the set names hand on what their
 * rule says. What is left of each value is a multiplier of it: times the value (LRP), or
 * times its difference from a reference (DeepLIFT), its share of the score; guided
 * backpropagation and deconvnet only cut signs away. A set is a table, one row per operator
 * (the engine's propagation.h); immutable, shared by threads.
 */
#ifndef SALISCOPE_PROPAGATION_H
#define SALISCOPE_PROPAGATION_H

#include <stdbool.h>

#include "saliscope/status.h"

struct sal_propagation;
struct sal_run;

/* At each ReLU and clamp from 0: only a positive gradient passes, and only where the unit
 * is active. Springenberg et al., ICLR workshop 2015, arXiv:1412.6806. */
extern const struct sal_propagation sal_propagation_guided;

/* At the same: only a positive gradient passes, active or not. Zeiler and Fergus, ECCV
 * 2014, arXiv:1311.2901. */
extern const struct sal_propagation sal_propagation_deconvnet;

/* The rescale rule: difference of outputs over difference of inputs, between a run and its
 * reference (sal_run_compare), products and quotients by their exact parts. What it makes
 * of an input adds up: sum of (x - x0) m = score(x) - score(x0). Shrikumar et al., ICML
 * 2017, arXiv:1704.02685. Operators that it cannot take apart are refused by name. */
extern const struct sal_propagation sal_propagation_deeplift;

/* Layer-wise relevance propagation, by the rules of struct sal_lrp; relevance is value times
 * multiplier. Bach et al., PLOS ONE 2015, doi:10.1371/journal.pone.0130140. A
 * BatchNormalization behind a Conv is merged into it. Operators without a rule are refused
 * by name. */
extern const struct sal_propagation sal_propagation_lrp;

/* How a layer with weights w, bias b and outputs z = sum_i x_i w_i + b hands relevance R on.
 * |.|+ and |.|- are the positive and the negative part; a denominator d has epsilon added
 * away from zero.
 *
 * EPSILON: x_i w_i / z R.
 * GAMMA: as EPSILON, with positive contributions weighing 1 + gamma where z > 0, and
 *   negative ones where z < 0 (zennit's; Montavon et al. 2019 for inputs >= 0).
 * GAMMA_WEIGHTS: x_i w'_i / z' R with w' = w + gamma |w|+, b as it is (Captum's); meant for
 *   inputs >= 0 before a ReLU, without bound where z' has another sign than z.
 * ALPHA_BETA: (alpha |x_i w_i|+ / (sum |x w|+ + |b|+) - beta |x_i w_i|- / (sum |x w|- +
 *   |b|-)) R, with beta = alpha - 1.
 * ZBOX, for inputs within low..high: (x_i w_i - low_i |w_i|+ - high_i |w_i|-) / sum of that
 *   R. Only of layers that read the image, and what arrives there is relevance itself. */
enum sal_lrp_rule {
    SAL_LRP_EPSILON,
    SAL_LRP_GAMMA,
    SAL_LRP_GAMMA_WEIGHTS,
    SAL_LRP_ALPHA_BETA,
    SAL_LRP_ZBOX,
};

enum { SAL_LRP_CHANNELS = 4 };

struct sal_lrp {
    enum sal_lrp_rule first; /* of layers that read the image, or some of its elements */
    enum sal_lrp_rule conv;  /* of other convolutions */
    enum sal_lrp_rule dense; /* of other linear layers */
    bool no_bias; /* b = 0 in the denominators of GAMMA, GAMMA_WEIGHTS and ALPHA_BETA */
    double epsilon;          /* >= 0, in units of the layer's outputs */
    double gamma;            /* >= 0 */
    double alpha;            /* >= 1 */
    double low[SAL_LRP_CHANNELS], high[SAL_LRP_CHANNELS]; /* of the image, by channel */
};

/* A run of the same model and options, whose last forward of another input the rules of
 * `run` compare with; it must outlive the backwards of `run`. SAL_USAGE where their graphs
 * are not the same. */
enum sal_status sal_run_compare(struct sal_run *run, const struct sal_run *reference,
                                struct sal_error *err);

/* Nodes of the run that a rule stands in, operators' own gradients not counted; 0 without
 * rules. Without any, what comes out is the gradient. */
int sal_run_ruled(const struct sal_run *run);

#endif
