/*
 * Exact matrix products of small integers, through the matrix library in double.
 *
 * Sums of products of integers of up to 16 bits stay below 2^53 for any length that
 * fits memory, so double adds them without rounding, in whatever order. The operator
 * hands out its operands block by block, zero points taken off, and takes the sums
 * block by block.
 */
#ifndef SALISCOPE_ENGINE_INTEGER_PRODUCT_H
#define SALISCOPE_ENGINE_INTEGER_PRODUCT_H

#include "kernel.h"

/* Rows and columns of one operand or of the result. */
struct sal_area {
    int64_t row, rows, column, columns;
};

struct sal_integer_product {
    const struct sal_kernel *k;
    const void *context;
    int64_t count;   /* products */
    int64_t m, n, depth;
    /* Fills to[rows][columns] with part of A (m x depth) or B (depth x n) of product
     * i. */
    void (*a)(const struct sal_integer_product *p, int64_t i, struct sal_area area,
              double *to);
    void (*b)(const struct sal_integer_product *p, int64_t i, struct sal_area area,
              double *to);
    /* Takes part of the result. */
    void (*take)(const struct sal_integer_product *p, int64_t i, struct sal_area area,
                 const double *sums);
};

/* Input i is int8 or uint8, and its zero point, where there is one, of the same type. */
enum sal_status sal_infer_bytes(const struct sal_infer *infer, int i, int zero,
                                struct sal_error *err);

/* What an operator's scratch() returns. */
size_t sal_integer_product_scratch(void);

void sal_integer_product(const struct sal_integer_product *p);

#endif
