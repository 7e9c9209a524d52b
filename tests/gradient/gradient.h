/*
 * Gradient checks, shared by the test programs that list cases.
 *
 * A case is a small model. check_gradient() runs it in both precisions on random
 * inputs whose values are well apart (no tie, nothing near a kink), and asserts:
 * the float forward is the double one up to rounding; the double backward is the
 * central difference of the double forward in every coordinate; the float backward
 * is the double one up to rounding.
 */
#ifndef TESTS_GRADIENT_H
#define TESTS_GRADIENT_H

#include "onnx_build.h"
#include "random.h"

struct gradient_case {
    const char *name; /* a sentence */
    void (*build)(struct onnx_build *b); /* inputs, nodes, outputs */
    int64_t opset;
    double low, high; /* inputs are drawn from here; both 0: -2..2 */
};

/* Runs the case; fails the cmocka test it is called from, naming the case. */
void check_gradient(const struct gradient_case *c);

/* The adjoint identity <A x, y> = <x, A' y> of a linear case, in both precisions:
 * needs no finite differences and so covers many attribute combinations. */
void check_adjoint(const struct gradient_case *c);

#endif
