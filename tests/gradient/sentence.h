/*
 * Gradient cases of one node, in words, and the families they are listed in.
 *
 * A family is one file tests/gradient/cases_<family>.c: sentences that are checked by
 * the twins, and generators of random sentences about linear operators, which are
 * checked by the adjoint identity. FAMILIES() below names them all.
 */
#ifndef TESTS_SENTENCE_H
#define TESTS_SENTENCE_H

#include "gradient.h"

enum { SENTENCE_INPUTS = 8, SENTENCE_TEXT = 160 };

/* An input is "2x3" (random reals), "scalar", "" (left out), "[1,-1]" or "2x2[0,1,1,0]"
 * (constant integers, a list or of that shape), "2b[1,0]" (constant booleans of that
 * shape), "{0.5,2}" or "2x1{0.5,2}" (constant reals), "~2x3" (random constant reals). An
 * attribute is name=1 (integer), name=1, or name=1,2 (integers), name=0.5 (float),
 * name=0.5, or name=0.5,2.0 (floats), or name=word (string). */
struct sentence {
    const char *op;
    int64_t opset;
    const char *input[SENTENCE_INPUTS]; /* up to the first NULL */
    const char *attributes;             /* separated by spaces; NULL: none */
    double low, high;                   /* as in struct gradient_case */
    const char *outputs;                /* separated by commas; "y" is looked at */
};

#define CASE(op, opset, attributes, ...) {op, opset, {__VA_ARGS__}, attributes, 0, 0, "y"}
#define RANGE(low, high, op, opset, attributes, ...) \
    {op, opset, {__VA_ARGS__}, attributes, low, high, "y"}
#define OUTPUTS(outputs, op, opset, attributes, ...) \
    {op, opset, {__VA_ARGS__}, attributes, 0, 0, outputs}

/* The case that a sentence says. name holds size bytes and, like the sentence, must
 * outlive the case; one case is in use at a time. */
struct gradient_case sentence_case(const struct sentence *sentence, char *name,
                                   size_t size);

/* ---- random sentences -------------------------------------------------------- */

struct random_sentence {
    struct sentence s; /* outputs is "y" */
    char input[SENTENCE_INPUTS][SENTENCE_TEXT];
    char attributes[2 * SENTENCE_TEXT];
    uint64_t dice;
};

/* An integer of low..high. */
int roll(struct random_sentence *r, int low, int high);

/* Says input i, or the attributes. */
void say_input(struct random_sentence *r, int i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void say_attributes(struct random_sentence *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- families ---------------------------------------------------------------- */

struct family {
    const struct sentence *sentences;
    size_t n;
    void (*const *random)(struct random_sentence *r); /* fills r->s */
    size_t n_random;
};

#define FAMILIES(FAMILY) \
    FAMILY(contract)     \
    FAMILY(elementwise)  \
    FAMILY(index)        \
    FAMILY(loss)         \
    FAMILY(norm)         \
    FAMILY(pool)         \
    FAMILY(reduce)       \
    FAMILY(resample)     \
    FAMILY(space)        \
    FAMILY(view)

#define FAMILY_DECLARE(name) extern const struct family family_##name;
FAMILIES(FAMILY_DECLARE)

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#endif
