/*
 * Boxes: the parts of maps that differ from those of a base image, and how they grow.
 *
 * A field is one value for a batch of images: the base's whole map, and for each image the
 * box in which its own may differ, with what it holds there. Boxes have any size; those of
 * a plane lie one behind the other, so that whatever goes pixel by pixel sees one long
 * row. A plane is a block of 16 channels (blocked.h), or one channel where values are plain.
 */
#ifndef SALISCOPE_ENGINE_BOXES_H
#define SALISCOPE_ENGINE_BOXES_H

#include "blocked.h"
#include "kernel.h"
#include "saliscope/region.h"
#include "window.h"

/* Output position o, along either axis, reads o * step + low .. o * step + high. */
struct sal_reach {
    int64_t step[2], low[2], high[2];
};

struct sal_field {
    int64_t planes, size[2];
    int unit;               /* reals of a pixel: SAL_BLOCK or 1 */
    const sal_real *base;   /* [planes][rows][columns][unit] */
    int n;                  /* images */
    struct sal_box *box;    /* [n] */
    int64_t *first;         /* [n + 1] pixels before those of image i */
    sal_real *data;         /* [planes][first[n]][unit]; NULL: see parts, images */
    const sal_real *images; /* [n][planes][rows][columns][unit]: whole maps, of the input */
    const struct sal_field *const *parts; /* [n_parts] planes of one behind the other's; none
                                             has parts */
    int n_parts;
};

static inline bool sal_box_empty(const struct sal_box *box)
{
    return box->end[0] <= box->at[0] || box->end[1] <= box->at[1];
}

static inline int64_t sal_box_rows(const struct sal_box *box)
{
    return sal_box_empty(box) ? 0 : box->end[0] - box->at[0];
}

static inline int64_t sal_box_columns(const struct sal_box *box)
{
    return sal_box_empty(box) ? 0 : box->end[1] - box->at[1];
}

static inline int64_t sal_box_pixels(const struct sal_box *box)
{
    return sal_box_rows(box) * sal_box_columns(box);
}

/* The least box that holds both. */
struct sal_box sal_box_union(const struct sal_box *a, const struct sal_box *b);

/* What of an output of that size reads any of the box. */
struct sal_box sal_box_grown(const struct sal_box *box, const struct sal_reach *reach,
                             const int64_t size[2]);

/* What the box of an output reads of its input, the part outside of the map too. */
struct sal_box sal_box_read(const struct sal_box *box, const struct sal_reach *reach);

/* What lies in a map of that size. */
struct sal_box sal_box_clipped(const struct sal_box *box, const int64_t size[2]);

static inline int64_t sal_field_pixels(const struct sal_field *field)
{
    return field->first[field->n];
}

/* Whether data is there and laid out in just the boxes of another. */
bool sal_field_like(const struct sal_field *field, const struct sal_field *other);

/* n pixels of a plane of image i, from column x of row y of its map on. All lie in the
 * map. */
void sal_field_row(const struct sal_field *field, int64_t plane, int image, int64_t y,
                   int64_t x, int64_t n, sal_real *to);

/* Where such pixels lie, of all planes of a part: up to three stretches beside each other,
 * plane by plane `step` reals apart. */
struct sal_stretches {
    int n;
    struct sal_stretch {
        const sal_real *from; /* of the part's first plane */
        ptrdiff_t step;
        int64_t pixels;
    } stretch[3];
};
struct sal_stretches sal_part_row(const struct sal_field *part, int image, int64_t y,
                                  int64_t x, int64_t n);

/* Of a row of parts; a field that is none is its only part. */
static inline const struct sal_field *sal_field_part(const struct sal_field *field, int i)
{
    return field->n_parts ? field->parts[i] : field;
}

static inline int sal_field_parts(const struct sal_field *field)
{
    return field->n_parts ? field->n_parts : 1;
}

/* A whole box, which lies in the map, row after row. */
void sal_field_box(const struct sal_field *field, int64_t plane, int image,
                   const struct sal_box *box, sal_real *to);

/* All that lies in the boxes of another field, laid out like it. */
void sal_field_gather(const struct sal_field *field, const struct sal_field *like,
                      sal_real *to, struct sal_pool *pool);

/* Image i's whole map, blocked or plain, into image `i` of a batch's tensor: blocks of
 * [planes][batch][rows][columns][unit], plain [batch][planes][rows][columns]. */
void sal_field_paste(const struct sal_field *field, sal_real *to, int batch,
                     struct sal_pool *pool);

/* Cuts off edges of boxes, data with them, where no pixel differs from the base by more than
 * `least`, in the root mean square over its channels. False: no memory. */
bool sal_field_trim(struct sal_field *field, double least, struct sal_arena *arena,
                    struct sal_pool *pool);

/* Of the rows of a field's boxes one after the other: pixel `p` of all lies in that row. */
struct sal_field_place {
    int image;
    int64_t y, x, left; /* pixels from there to the end of the row */
};
struct sal_field_place sal_field_find(const struct sal_field *field, int64_t p);

/* ---- operators on boxes ------------------------------------------------------------- */

struct sal_region_kernel {
    const struct sal_node *node;
    const struct sal_tensor *const *in;    /* of one image: shapes; values of constants */
    const struct sal_tensor *out;          /* likewise */
    const struct sal_field *const *fields; /* per input; NULL: constant or left out */
    struct sal_field *to;                  /* boxes are set, data is there to be filled */
    struct sal_pool *pool;
    struct sal_arena *arena; /* for what is needed until the node is done */
    sal_real *scratch;       /* threads x scratch_stride reals, not cleared */
    size_t scratch_stride;
};

/* How the result of a node changes where its inputs do. */
struct sal_region_op {
    bool joins; /* the planes of its inputs, all maps, one behind the other: nothing is
                   computed, reach says whether it is so */
    /* Of an input that is a map and no constant; false: all of the result may change. */
    bool (*reach)(const struct sal_node *node, const struct sal_tensor *const *in, int input,
                  struct sal_reach *reach);
    size_t (*scratch)(const struct sal_region_kernel *k); /* reals per thread; NULL: none */
    /* False: no memory. */
    bool (*forward)(const struct sal_region_kernel *k);
};

static inline struct sal_reach sal_reach_same(void)
{
    return (struct sal_reach){.step = {1, 1}};
}

/* The field of input i in the boxes of the output: where it lies, or gathered. NULL: no
 * memory. */
const sal_real *sal_region_input(const struct sal_region_kernel *k, int i);

/* A window of two axes over a map of that size, as a reach; false: it does not fit. */
bool sal_reach_of_window(const struct sal_node *node, const struct sal_window *window,
                         const int64_t size[2], struct sal_reach *reach);

/* What a plane of image's box is, for a kernel of whole planes: a plane of what it reads
 * and lies in the map, padded where it reached beyond. */
struct sal_window_box {
    struct sal_box read;
    int64_t in[2], out[2], pad[2];
};
struct sal_window_box sal_region_window_box(const struct sal_region_kernel *k, int image);

/* The most reals that any read above takes. */
int64_t sal_region_slab(const struct sal_region_kernel *k);

/* Of whatever goes pixel by pixel: its own forward, over all boxes in one row. `pointwise`
 * operators have it without saying so. */
extern const struct sal_region_op sal_region_pixels;

/* Its forward, for a node that is another in part. */
bool sal_region_pixels_run(const struct sal_region_kernel *k, const struct sal_node *node);

/* The row's, or sal_region_pixels; NULL: none. */
const struct sal_region_op *sal_region_op_of(const struct sal_node *node);

#endif
