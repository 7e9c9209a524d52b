#include "superpixels.h"

#include <math.h>
#include <stdlib.h>

#include "methods.h"

enum { SLIC, GRID, ROUNDS = 10, CHANNELS_MAX = 4 };

const char *const sal_superpixel_names[] = {"slic", "grid", NULL};

/* What clustering works with. */
struct slic {
    int height, width, cells, channels;
    double spacing; /* between centres, in pixels */
    double pull;    /* of distance: (compactness / spacing)^2 */
    double *level;  /* [channels][pixels], black 0, white 100 */
    double *least;  /* [pixels]: how far the nearest centre is */
    double *centre; /* [cells^2][CENTRE + channels] */
    int *of;        /* [pixels]: cluster */
};

enum { ROW, COLUMN, COUNT, CENTRE }; /* what a centre begins with */

static int64_t pixels_of(const struct slic *s)
{
    return (int64_t)s->height * s->width;
}

static double *centre_of(const struct slic *s, int64_t k)
{
    return s->centre + k * (CENTRE + s->channels);
}

static void cut_rectangles(int height, int width, int cells, int *of)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            *of++ = (int)((int64_t)y * cells / height * cells + (int64_t)x * cells / width);
}

/* ---- clusters --------------------------------------------------------------------------- */

static void read_levels(const struct slic *s, const struct sal_question *question)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    const struct sal_preprocessing *spec = sal_model_preprocessing(question->model);
    double white = spec->range[1] - spec->range[0];
    int64_t n = pixels_of(s);
    for (int c = 0; c < s->channels; c++)
        for (int64_t i = 0; i < n; i++) {
            double x = (double)question->x[sal_input_place(input, c, i)];
            double value = x * spec->std[c] + spec->mean[c];
            s->level[c * n + i] = 100 * (value - spec->range[0]) / white;
        }
}

/* Centres become the means of their pixels; one without pixels stays. */
static void move_centres(const struct slic *s)
{
    int64_t n = pixels_of(s);
    int size = CENTRE + s->channels;
    for (int64_t i = 0; i < n; i++)
        centre_of(s, s->of[i])[COUNT] = 0;
    for (int64_t i = 0; i < n; i++) {
        double *centre = centre_of(s, s->of[i]);
        if (centre[COUNT]++ == 0)
            for (int c = 0; c < size; c++)
                centre[c] = c == COUNT ? 1 : 0;
        centre[ROW] += (double)(i / s->width);
        centre[COLUMN] += (double)(i % s->width);
        for (int c = 0; c < s->channels; c++)
            centre[CENTRE + c] += s->level[c * n + i];
    }
    for (int k = 0; k < s->cells * s->cells; k++) {
        double *centre = centre_of(s, k), count = centre[COUNT];
        for (int c = 0; c < size && count > 0; c++)
            centre[c] = c == COUNT ? 0 : centre[c] / count;
    }
}

/* Pixels near centre k that are nearer to it than to those before become its own. */
static void claim(const struct slic *s, int k)
{
    const double *centre = centre_of(s, k);
    int64_t n = pixels_of(s);
    int reach = (int)ceil(s->spacing), row = (int)centre[ROW], column = (int)centre[COLUMN];
    int top = row > reach ? row - reach : 0, left = column > reach ? column - reach : 0;
    for (int y = top; y < s->height && y <= row + reach; y++)
        for (int x = left; x < s->width && x <= column + reach; x++) {
            int64_t i = (int64_t)y * s->width + x;
            double down = y - centre[ROW], right = x - centre[COLUMN], colour = 0;
            for (int c = 0; c < s->channels; c++)
                colour += pow(s->level[c * n + i] - centre[CENTRE + c], 2) / s->channels;
            double distance = colour + s->pull * (down * down + right * right);
            if (distance < s->least[i]) {
                s->least[i] = distance;
                s->of[i] = k;
            }
        }
}

static void cluster(const struct slic *s)
{
    cut_rectangles(s->height, s->width, s->cells, s->of);
    for (int round = 0; round < ROUNDS; round++) {
        move_centres(s);
        for (int64_t i = 0; i < pixels_of(s); i++)
            s->least[i] = INFINITY;
        for (int k = 0; k < s->cells * s->cells; k++)
            claim(s, k);
    }
}

/* ---- parts ------------------------------------------------------------------------------ */

/* Gives part number `part` to the pixels of one cluster that hang together with `first`,
 * and returns how many there are; their places in found. beside: a part that was there
 * before and touches them; untouched where there is none. */
static int64_t flood(const struct slic *s, int64_t first, int part, int *part_of,
                     int64_t *found, int *beside)
{
    int64_t n = 1;
    found[0] = first;
    part_of[first] = part;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = found[i];
        int x = (int)(at % s->width), y = (int)(at / s->width);
        const int64_t next[] = {x > 0 ? at - 1 : -1, x + 1 < s->width ? at + 1 : -1,
                                y > 0 ? at - s->width : -1,
                                y + 1 < s->height ? at + s->width : -1};
        for (int k = 0; k < 4; k++) {
            if (next[k] < 0)
                continue;
            if (part_of[next[k]] < 0 && s->of[next[k]] == s->of[at]) {
                part_of[next[k]] = part;
                found[n++] = next[k];
            } else if (part_of[next[k]] >= 0 && part_of[next[k]] != part) {
                *beside = part_of[next[k]];
            }
        }
    }
    return n;
}

/* Clusters become connected parts; those of less than a quarter of the usual size go to one
 * that they touch. Returns how many there are. */
static int connect(const struct slic *s, int *part_of, int64_t *found)
{
    int64_t n = pixels_of(s), least = n / (4 * (int64_t)s->cells * s->cells);
    int parts = 0;
    for (int64_t i = 0; i < n; i++)
        part_of[i] = -1;
    for (int64_t i = 0; i < n; i++) {
        int beside = -1;
        if (part_of[i] >= 0)
            continue;
        int64_t size = flood(s, i, parts, part_of, found, &beside);
        if (size >= least || beside < 0)
            parts++;
        else
            for (int64_t k = 0; k < size; k++)
                part_of[found[k]] = beside;
    }
    return parts;
}

/* ---- by name ----------------------------------------------------------------------------- */

static enum sal_status cut_slic(const struct sal_question *question, struct slic *s,
                                struct sal_superpixels *superpixels, struct sal_error *err)
{
    size_t n = (size_t)pixels_of(s), centres = (size_t)s->cells * (size_t)s->cells;
    s->level = calloc(n * (size_t)(s->channels + 1), sizeof(*s->level));
    s->centre = calloc(centres * (size_t)(CENTRE + s->channels), sizeof(*s->centre));
    s->of = calloc(n, sizeof(*s->of));
    int64_t *found = calloc(n, sizeof(*found));
    enum sal_status status = s->level && s->centre && s->of && found
                                 ? SAL_OK
                                 : sal_fail(err, SAL_LIMIT, "no memory for superpixels");
    if (!status) {
        s->least = s->level + n * (size_t)s->channels;
        read_levels(s, question);
        cluster(s);
        superpixels->n = connect(s, superpixels->of, found);
        if (superpixels->n > SAL_SUPERPIXELS_MAX)
            status = sal_fail(err, SAL_LIMIT, "%d superpixels are too many", superpixels->n);
    }
    free(s->level);
    free(s->centre);
    free(s->of);
    free(found);
    return status;
}

enum sal_status sal_superpixels_make(const struct sal_question *question,
                                     const struct sal_param *list,
                                     struct sal_superpixels *superpixels,
                                     struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    const struct sal_params *params = question->params;
    int height = input->height, width = input->width;
    int cells = (int)sal_params_get(params, list, "cells");
    struct slic s = {.height = height, .width = width, .cells = cells};
    s.channels = input->channels < CHANNELS_MAX ? input->channels : CHANNELS_MAX;
    s.spacing = sqrt((double)height * width) / cells;
    s.pull = pow(sal_params_get(params, list, "compactness") / s.spacing, 2);
    *superpixels = (struct sal_superpixels){0};
    if (cells > height || cells > width)
        return sal_fail(err, SAL_USAGE,
                        "cells=%d is more than the model's input, %d x %d, has pixels", cells,
                        width, height);
    superpixels->of = calloc((size_t)height * (size_t)width, sizeof(*superpixels->of));
    if (!superpixels->of)
        return sal_fail(err, SAL_LIMIT, "no memory for superpixels");
    if (sal_params_get(params, list, "segments") == SLIC)
        return cut_slic(question, &s, superpixels, err);
    cut_rectangles(height, width, cells, superpixels->of);
    superpixels->n = cells * cells;
    return SAL_OK;
}
