/* What a probe found, as files: the altered picture as others' programs read it, and the
 * altered input bit for bit. */
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "saliscope/npy.h"
#include "writing.h"

enum { DEEP_WHITE = 65535 };

enum sal_status sal_probe_encode_png(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err)
{
    const struct sal_probed *probed = writing->held->probed;
    const double scale = probed->answer.deep.flipped ? probed->answer.deep.scale : 1;
    struct sal_image image;
    enum sal_status status = sal_probe_picture(&probed->answer, writing->session->model,
                                               DEEP_WHITE, scale, &image, err);
    if (status)
        return status;
    struct sal_buffer record = {0};
    sal_record_encode(writing->session, NULL, true, &record);
    sal_buffer_append(&record, "", 1);
    const struct sal_image_note notes[] = {
        {"Software", "saliscope " SAL_VERSION},
        {"Description", "altered picture, to deceive a classifier: no recording of "
                        "anything"},
        {"saliscope", record.failed ? "{}" : (const char *)record.data},
    };
    status = sal_image_encode_png(&image, 0, notes, 3, buffer, err);
    sal_buffer_release(&record);
    sal_image_release(&image);
    return status;
}

static struct sal_shape input_shape(const struct sal_writing *writing)
{
    const struct sal_model *model = writing->session->model;
    return sal_model_value(model, sal_model_input(model)->value).shape;
}

enum sal_status sal_probe_encode_npy(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err)
{
    (void)err;
    struct sal_shape shape = input_shape(writing);
    sal_npy_encode(buffer, writing->held->probed->answer.x, shape.dim, shape.rank);
    return SAL_OK;
}

/* Those that there are, of two; how many. */
static int put_maps(const struct sal_stability *maps, struct sal_npz_entry *entries)
{
    int n = 0;
    for (int i = 0; maps && i < 2; i++) {
        const struct sal_map *map = i ? &maps->after : &maps->before;
        if (!map->values)
            break;
        entries[i].data = map->values;
        entries[i].shape[0] = map->height;
        entries[i].shape[1] = map->width;
        n++;
    }
    return n;
}

enum sal_status sal_probe_encode_npz(const struct sal_writing *writing,
                                     struct sal_buffer *buffer, struct sal_error *err)
{
    const struct sal_probe_answer *a = &writing->held->probed->answer;
    struct sal_shape input = input_shape(writing);
    struct sal_npz_entry entries[] = {
        {.name = "adversarial", .data = a->x, .rank = input.rank},
        {.name = "input", .data = writing->held->loaded->x, .rank = input.rank},
        {"picture", a->picture, {a->planes, a->height, a->width}, 3},
        {"change", a->change, {a->planes, a->height, a->width}, 3},
        {"logits_before", a->before, {a->n_logits}, 1},
        {"logits_after", a->after, {a->n_logits}, 1},
        {.name = "map_before", .rank = 2},
        {.name = "map_after", .rank = 2},
    };
    enum { ALL = sizeof(entries) / sizeof(*entries) };
    const int n = ALL - 2 + put_maps(writing->held->probed->stability, entries + ALL - 2);
    memcpy(entries[0].shape, input.dim, sizeof(input.dim));
    memcpy(entries[1].shape, input.dim, sizeof(input.dim));
    return sal_npz_encode(buffer, entries, n, err);
}
