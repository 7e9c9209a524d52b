/*
 * Einsum's equation: a term of labels for each operand and one for the output.
 *
 * A label is a letter or, where an ellipsis stands, one of the axes it stands for,
 * counted from the back as numpy broadcasts them.
 */
#ifndef SALISCOPE_ENGINE_EQUATION_H
#define SALISCOPE_ENGINE_EQUATION_H

#include "kernel.h"

enum {
    SAL_LETTERS = 52,                        /* A-Z, a-z */
    SAL_LABELS = SAL_LETTERS + SAL_RANK_MAX, /* and the axes of an ellipsis */
};

struct sal_term {
    int n;        /* letters */
    int ellipsis; /* letters before it; -1: there is none */
    unsigned char letter[SAL_RANK_MAX];
};

struct sal_equation {
    int n; /* operands */
    const struct sal_term *operand;
    struct sal_term output;
};

/* Reads text for a node of that many inputs; makes the output's term where it is left
 * out. Names node and equation where it is wrong. */
enum sal_status sal_equation_parse(struct sal_equation *equation, const char *text,
                                   const struct sal_node *node, struct sal_arena *arena,
                                   struct sal_error *err);

/* Labels of a term's axes, of a tensor of that rank. False: it has not as many axes. */
bool sal_term_labels(const struct sal_term *term, int rank,
                     unsigned char label[SAL_RANK_MAX]);

#endif
