#include <math.h>
#include <stdlib.h>

#include "encoder.h"

const struct sal_encoder sal_encoders[] = {
    {
        .name = "half",
        .title = "half blocks: two square pixels a cell",
        .cell_width = 1,
        .cell_height = 2,
        .depth_min = SAL_16,
        .unicode = true,
        .encode = sal_encode_half,
    },
    {
        .name = "space",
        .title = "coloured blanks, one pixel a cell: colour without UTF-8",
        .cell_width = 1,
        .cell_height = 1,
        .depth_min = SAL_16,
        .encode = sal_encode_space,
    },
    {
        .name = "ascii",
        .title = "characters by brightness: any terminal, no colour",
        .cell_width = 1,
        .cell_height = 1,
        .depth_min = SAL_MONO,
        .encode = sal_encode_ascii,
    },
    {.name = NULL},
};

const struct sal_encoder *sal_encoder_best(enum sal_depth depth, bool unicode)
{
    const struct sal_encoder *encoder = sal_encoders;
    while (encoder->depth_min > depth || (encoder->unicode && !unicode))
        encoder++;
    return encoder;
}

const uint8_t *sal_picture_at(const struct sal_picture *picture, int x, int y)
{
    if (x >= picture->width)
        x = picture->width - 1;
    if (y >= picture->height)
        y = picture->height - 1;
    return picture->rgb + 3 * ((size_t)y * (size_t)picture->width + (size_t)x);
}

static int between(double cells, int most)
{
    long n = lround(cells);
    return n < 1 ? 1 : n > most ? most : (int)n;
}

void sal_encoder_fit(const struct sal_encoder *encoder, int columns, int rows,
                     int image_width, int image_height, int *width, int *height)
{
    columns = columns < 1 ? 1 : columns;
    rows = rows < 1 ? 1 : rows;
    double shape = image_width > 0 && image_height > 0
                       ? (double)image_width / image_height
                       : 1;
    double wide = fmin(columns, 2 * rows * shape);
    *width = encoder->cell_width * between(wide, columns);
    *height = encoder->cell_height * between(wide / shape / 2, rows);
}

void sal_cells_release(struct sal_cells *cells)
{
    free(cells->cell);
    *cells = (struct sal_cells){0};
}

enum sal_status sal_encoder_run(const struct sal_encoder *encoder,
                                const struct sal_picture *picture,
                                enum sal_depth depth, bool unicode,
                                struct sal_cells *cells, struct sal_error *err)
{
    if (depth < encoder->depth_min || (encoder->unicode && !unicode))
        return sal_fail(err, SAL_USAGE,
                        "encoder '%s' needs %s and at least %d colours", encoder->name,
                        encoder->unicode ? "UTF-8" : "any character set",
                        (int)encoder->depth_min);
    int columns = (picture->width + encoder->cell_width - 1) / encoder->cell_width;
    int rows = (picture->height + encoder->cell_height - 1) / encoder->cell_height;
    struct sal_cell *cell =
        calloc((size_t)columns * (size_t)rows, sizeof(*cell));
    if (!cell)
        return sal_fail(err, SAL_LIMIT, "no memory for %d x %d terminal cells", columns,
                        rows);
    *cells = (struct sal_cells){columns, rows, cell};
    encoder->encode(picture, depth, unicode, cells);
    return SAL_OK;
}
