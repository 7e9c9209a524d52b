/*
 * In-painting: what a hole in a picture is filled with when its surroundings go on.
 *
 * The linear imputation of ROAD (Rong et al., ICML 2022, arXiv:2202.00449), without its
 * noise: each pixel of the hole is the weighed mean of its neighbours, 1/6 for the four
 * beside it and 1/12 for the four at its corners, weights of those beyond the edges of the
 * picture given to the others. So nothing in the hole is brighter or darker than all that
 * surrounds it, and no edge stands where it begins. No state, any thread.
 */
#ifndef SALISCOPE_EXPLAIN_INPAINT_H
#define SALISCOPE_EXPLAIN_INPAINT_H

#include "saliscope/model.h"

/* Rows top..bottom-1 and columns left..right-1 of every channel of x, which lies as the
 * input does; what they hold is where the iteration begins, to about 1e-6 of the range of
 * what surrounds them. A hole that is the whole picture keeps what it holds. */
void sal_inpaint(const struct sal_model_input *input, int top, int left, int bottom, int right,
                 sal_real *x);

#endif
