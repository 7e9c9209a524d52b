#include "mask.h"

#include <math.h>
#include <stdlib.h>

#include "saliscope/random.h"

/* Half-pixel centres; the grid goes on as its mirror image, about the outermost centres. */
static void place_taps(struct sal_mask_tap *taps, int n, int cells)
{
    for (int i = 0; i < n; i++) {
        double at = (i + 0.5) * cells / n - 0.5;
        int low = (int)floor(at), high = low + 1;
        taps[i] = (struct sal_mask_tap){.low = low < 0 ? 1 : low,
                                        .high = high < cells ? high : cells - 2,
                                        .share = at - low};
    }
}

enum sal_status sal_mask_table_init(struct sal_mask_table *table, int height, int width,
                                    int cells, struct sal_error *err)
{
    *table = (struct sal_mask_table){.height = height,
                                     .width = width,
                                     .cells = cells,
                                     .cell_height = (height + cells - 1) / cells,
                                     .cell_width = (width + cells - 1) / cells};
    int rows = (cells + 1) * table->cell_height, columns = (cells + 1) * table->cell_width;
    table->rows = calloc((size_t)rows, sizeof(*table->rows));
    table->columns = calloc((size_t)columns, sizeof(*table->columns));
    if (!table->rows || !table->columns)
        return sal_fail(err, SAL_LIMIT, "no memory for masks of %d x %d", width, height);
    place_taps(table->rows, rows, cells);
    place_taps(table->columns, columns, cells);
    return SAL_OK;
}

void sal_mask_table_release(struct sal_mask_table *table)
{
    free(table->rows);
    free(table->columns);
}

void sal_mask_draw(struct sal_mask *mask, const struct sal_mask_table *table, double keep,
                   uint64_t seed, uint64_t stream)
{
    uint64_t key = sal_random_key(seed, stream), counter = 0;
    mask->table = table;
    for (int y = 0; y < table->cells; y++)
        for (int x = 0; x < table->cells; x++)
            mask->cell[y][x] = sal_random_uniform(key, counter++) < keep;
    mask->top = (int)(sal_random_uniform(key, counter++) * table->cell_height);
    mask->left = (int)(sal_random_uniform(key, counter) * table->cell_width);
}

void sal_mask_row(const struct sal_mask *mask, int y, double *row)
{
    const struct sal_mask_tap *tap = &mask->table->rows[mask->top + y];
    for (int i = 0; i < mask->table->cells; i++)
        row[i] = (1 - tap->share) * mask->cell[tap->low][i] +
                 tap->share * mask->cell[tap->high][i];
}
