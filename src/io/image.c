#include "saliscope/image.h"

#include <stdlib.h>
#include <string.h>

#include "exif.h"
#include "image_sink.h"
#include "saliscope/buffer.h"
#include "saliscope/sha256.h"

/* TGA has no magic number, so it is asked last. */
const struct sal_image_loader *const sal_image_loaders[] = {
    &sal_image_png, &sal_image_jpeg, &sal_image_bmp,
    &sal_image_pnm, &sal_image_tga,  NULL,
};

enum {
    SAMPLES_AT = 64, /* where the samples start in the reply, after the head */
};

static const size_t file_max = (size_t)1 << 30;

struct work {
    const struct sal_image_loader *loader;
    struct sal_span bytes;
};

enum sal_status sal_image_check_size(uint64_t width, uint64_t height,
                                     struct sal_error *err)
{
    if (!width || !height)
        return sal_fail(err, SAL_BAD_INPUT, "the image has no pixels (%llu x %llu)",
                        (unsigned long long)width, (unsigned long long)height);
    if (width > SAL_IMAGE_SIDE_MAX || height > SAL_IMAGE_SIDE_MAX)
        return sal_fail(err, SAL_BAD_INPUT, "%llu x %llu pixels; at most %d a side are read",
                        (unsigned long long)width, (unsigned long long)height,
                        SAL_IMAGE_SIDE_MAX);
    if (width * height > SAL_IMAGE_PIXELS_MAX)
        return sal_fail(err, SAL_BAD_INPUT, "%llu x %llu pixels; at most %d million are read",
                        (unsigned long long)width, (unsigned long long)height,
                        SAL_IMAGE_PIXELS_MAX / 1000000);
    return SAL_OK;
}

static enum sal_status check_head(const struct sal_image_head *head,
                                  struct sal_error *err)
{
    if (head->width < 0 || head->height < 0 || head->channels < 1 || head->channels > 4 ||
        head->bits < 1 || head->bits > 16 || head->max < 1 ||
        head->max >= 1U << head->bits || head->orientation < 1 || head->orientation > 8)
        return sal_fail(err, SAL_BAD_INPUT,
                        "the decoder reports an impossible image (%d channels of %d bits)",
                        head->channels, head->bits);
    return sal_image_check_size((uint64_t)head->width, (uint64_t)head->height, err);
}

/* Of a checked head: at most 4 * SAL_IMAGE_PIXELS_MAX. */
static size_t sample_count(const struct sal_image_head *head)
{
    return (size_t)head->width * head->height * head->channels;
}

enum sal_status sal_image_begin(struct sal_image_sink *sink,
                                const struct sal_image_head *head,
                                uint16_t **samples, struct sal_error *err)
{
    enum sal_status status = check_head(head, err);
    if (status)
        return status;
    *sink->head = *head;
    if (!sink->samples)
        return SAL_CANCELLED;
    if (sample_count(head) > sink->capacity)
        return sal_fail(err, SAL_BAD_INPUT, "the image changed size while it was read");
    *samples = sink->samples;
    return SAL_OK;
}

/* From the end, so that no byte is overwritten before it is read. */
void sal_image_widen(uint16_t *row, size_t count)
{
    const uint8_t *bytes = (const uint8_t *)row;
    while (count--)
        row[count] = bytes[count];
}

/* In the sandbox. */
static enum sal_status decode_work(void *context, void *reply, size_t reply_size,
                                   struct sal_error *err)
{
    struct work *work = context;
    struct sal_image_sink sink = {.head = reply};
    if (reply_size > SAMPLES_AT) {
        sink.samples = (uint16_t *)reply + SAMPLES_AT / sizeof(uint16_t);
        sink.capacity = (reply_size - SAMPLES_AT) / sizeof(uint16_t);
    }
    enum sal_status status = work->loader->decode(work->bytes, &sink, err);
    return status == SAL_CANCELLED && !sink.samples ? SAL_OK : status;
}

/* One run of the decoder with room for n_samples; on success the reply, checked,
 * is the caller's. */
static enum sal_status run_decoder(struct work *work, enum sal_sandbox_mode mode,
                                   size_t pixels, size_t n_samples, void **reply,
                                   struct sal_image_head *head, struct sal_error *err)
{
    /* The worst a decoder keeps per pixel: 4 coefficients of a progressive JPEG. */
    struct sal_sandbox_limits limits = {
        .memory = ((size_t)64 << 20) + pixels * 12,
        .seconds = 10 + (unsigned)(pixels / 2000000),
    };
    size_t size = SAMPLES_AT + n_samples * sizeof(uint16_t);
    enum sal_status status =
        sal_sandbox_run(mode, &limits, decode_work, work, reply, size, err);
    if (status)
        return status;
    memcpy(head, *reply, sizeof(*head));
    status = check_head(head, err);
    if (status)
        sal_sandbox_reply_release(*reply, size);
    return status;
}

static enum sal_status keep_samples(struct sal_image *image,
                                    const struct sal_image_head *head,
                                    const uint16_t *samples, struct sal_error *err)
{
    bool swap = head->orientation > 4;
    enum sal_status status = sal_image_init(image, swap ? head->height : head->width,
                                            swap ? head->width : head->height,
                                            head->channels, head->bits, err);
    if (status)
        return status;
    image->max = head->max;
    image->orientation = head->orientation;
    sal_exif_undo(head->orientation, samples, head->width, head->height,
                  head->channels, head->max, image->samples);
    return SAL_OK;
}

static enum sal_status decode_with(struct sal_image *image,
                                   const struct sal_image_loader *loader,
                                   struct sal_span bytes, enum sal_sandbox_mode mode,
                                   struct sal_error *err)
{
    struct work work = {loader, bytes};
    struct sal_image_head asked, head;
    void *reply;
    enum sal_status status = run_decoder(&work, mode, 0, 0, &reply, &asked, err);
    if (status)
        return status;
    sal_sandbox_reply_release(reply, SAMPLES_AT);

    size_t n_samples = sample_count(&asked);
    status = run_decoder(&work, mode, (size_t)asked.width * asked.height, n_samples,
                         &reply, &head, err);
    if (status)
        return status;
    if (memcmp(&asked, &head, sizeof(head)) != 0)
        status = sal_fail(err, SAL_BAD_INPUT, "the decoder contradicts itself");
    else
        status = keep_samples(image, &head,
                              (uint16_t *)reply + SAMPLES_AT / sizeof(uint16_t), err);
    sal_sandbox_reply_release(reply, SAMPLES_AT + n_samples * sizeof(uint16_t));
    return status;
}

static const struct sal_image_loader *loader_of(struct sal_span bytes)
{
    const struct sal_image_loader *const *loader = sal_image_loaders;
    while (*loader && !(*loader)->sniff(bytes))
        loader++;
    return *loader;
}

static enum sal_status not_an_image(const char *name, struct sal_error *err)
{
    struct sal_buffer names = {0};
    for (const struct sal_image_loader *const *loader = sal_image_loaders; *loader; loader++)
        sal_buffer_format(&names, "%s%s", names.size ? ", " : "", (*loader)->name);
    enum sal_status status =
        sal_fail(err, SAL_BAD_INPUT, "%s: not an image saliscope reads (%s)", name,
                 names.failed ? "?" : (const char *)names.data);
    sal_buffer_release(&names);
    return status;
}

enum sal_status sal_image_decode(struct sal_image *image, struct sal_span bytes,
                                 const char *name, enum sal_sandbox_mode sandbox,
                                 struct sal_error *err)
{
    *image = (struct sal_image){0};
    const struct sal_image_loader *loader = loader_of(bytes);
    if (!loader)
        return not_an_image(name, err);
    enum sal_status status = decode_with(image, loader, bytes, sandbox, err);
    if (status)
        return sal_fail_within(err, status, "%s", name);
    image->format = loader->name;
    sal_sha256_hex(bytes.data, bytes.size, image->sha256);
    return SAL_OK;
}

enum sal_status sal_image_load(struct sal_image *image, const char *path,
                               enum sal_sandbox_mode sandbox, struct sal_error *err)
{
    *image = (struct sal_image){0};
    struct sal_file file;
    enum sal_status status = sal_file_read(&file, path, file_max, err);
    if (status)
        return status;
    status = sal_image_decode(image, file.bytes, path, sandbox, err);
    sal_file_close(&file);
    return status;
}

enum sal_status sal_image_init(struct sal_image *image, int width, int height,
                               int channels, int bits, struct sal_error *err)
{
    *image = (struct sal_image){0};
    struct sal_image_head head = {width, height, channels, bits, 0, 1};
    head.max = bits >= 1 && bits <= 16 ? (1U << bits) - 1 : 0;
    enum sal_status status = check_head(&head, err);
    if (status)
        return status;
    uint16_t *samples = calloc(sample_count(&head), sizeof(*samples));
    if (!samples)
        return sal_fail(err, SAL_LIMIT, "no memory for an image of %d x %d pixels", width,
                        height);
    *image = (struct sal_image){
        .width = width, .height = height, .channels = channels, .bits = bits,
        .max = head.max, .orientation = 1, .format = "", .samples = samples,
    };
    return SAL_OK;
}

void sal_image_release(struct sal_image *image)
{
    free(image->samples);
    *image = (struct sal_image){0};
}
