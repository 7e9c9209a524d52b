/* ONNX metadata_props: whatever exporters wrote there. None of it follows a rule that
 * all keep, so what does not read as expected is passed over, never an error. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar_read.h"

/* ---- Python literals ------------------------------------------------------------- */

enum { NESTING_MAX = 8 };

static json_t *python_value(const char **at, int depth);

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t\r\n");
}

static json_t *python_text(const char **at)
{
    char quote = *(*at)++;
    size_t room = strlen(*at), used = 0;
    char *text = malloc(room + 1);
    while (text && **at && **at != quote) {
        if (**at == '\\' && (*at)[1])
            ++*at;
        text[used++] = *(*at)++;
    }
    json_t *value = text && **at == quote ? json_stringn(text, used) : NULL;
    *at += **at == quote;
    free(text);
    return value;
}

static json_t *python_word(const char **at)
{
    static const struct {
        const char *word;
        json_t *(*make)(void);
    } words[] = {{"True", json_true}, {"False", json_false}, {"None", json_null}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t size = strlen(words[i].word);
        if (strncmp(*at, words[i].word, size) == 0) {
            *at += size;
            return words[i].make();
        }
    }
    char *end;
    double number = strtod(*at, &end);
    json_t *value = end > *at ? json_real(number) : NULL;
    *at = end;
    return value;
}

/* A key is a text or a number; both become the text JSON wants. */
static json_t *python_key(const char **at)
{
    if (**at == '\'' || **at == '"')
        return python_text(at);
    size_t size = strspn(*at, "0123456789");
    *at += size;
    return size ? json_stringn(*at - size, size) : NULL;
}

static bool python_item(const char **at, json_t *into, int depth)
{
    if (json_is_array(into))
        return json_array_append_new(into, python_value(at, depth + 1)) == 0;
    json_t *key = python_key(at);
    skip_space(at);
    bool good = key && **at == ':';
    *at += good;
    good = good && json_object_set_new(into, json_string_value(key),
                                       python_value(at, depth + 1)) == 0;
    json_decref(key);
    return good;
}

static json_t *python_items(const char **at, int depth)
{
    char open = *(*at)++, close = open == '{' ? '}' : open == '[' ? ']' : ')';
    json_t *into = open == '{' ? json_object() : json_array();
    bool good = depth < NESTING_MAX;
    for (skip_space(at); good && **at && **at != close; skip_space(at)) {
        good = python_item(at, into, depth);
        skip_space(at);
        if (!good || **at != ',')
            break;
        ++*at;
    }
    if (good && **at == close) {
        ++*at;
        return into;
    }
    json_decref(into);
    return NULL;
}

static json_t *python_value(const char **at, int depth)
{
    skip_space(at);
    if (**at == '\'' || **at == '"')
        return python_text(at);
    return **at && strchr("{[(", **at) ? python_items(at, depth) : python_word(at);
}

/* JSON, or what Python's repr() writes: {0: 'cat', 1: "it's"}, (224, 224). */
static json_t *literal(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (value)
        return value;
    value = python_value(&text, 0);
    skip_space(&text);
    if (*text == '\0')
        return value;
    json_decref(value);
    return NULL;
}

/* ---- what the keys mean ---------------------------------------------------------------- */

struct stated {
    struct sal_sidecar *sidecar;
    bool pixels; /* says how pixels become numbers */
    struct sal_error *err;
};

static enum sal_status take_names(struct stated *stated, const json_t *value)
{
    struct sidecar_place at = {"metadata_props", "", stated->sidecar, stated->err};
    if (stated->sidecar->n_classes || !sidecar_are_class_names(value))
        return SAL_OK;
    return sidecar_class_names(&at, value);
}

/* One number, or one per channel; false: something else. */
static bool take_channels(const json_t *value, double low, double out[4])
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    double numbers[3] = {0};
    if (n != 1 && n != 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, n == 1 ? 0 : i) : value;
        numbers[i] = json_number_value(one);
        if (!json_is_number(one) || !isfinite(numbers[i]) || !(numbers[i] >= low))
            return false;
    }
    memcpy(out, numbers, sizeof(numbers));
    return true;
}

static enum sal_status take_mean(struct stated *stated, const json_t *value)
{
    struct sal_preprocessing *p = &stated->sidecar->input;
    if (!take_channels(value, -1e6, p->mean))
        return SAL_OK;
    p->source.mean = "model";
    stated->pixels = true;
    bool levels = p->mean[0] > 1 || p->mean[1] > 1 || p->mean[2] > 1;
    if (strcmp(p->source.range, "default") == 0 && levels) {
        p->range[0] = 0;
        p->range[1] = 255;
        p->source.range = "model, whose mean is above 1";
    }
    return SAL_OK;
}

static enum sal_status take_std(struct stated *stated, const json_t *value)
{
    struct sal_preprocessing *p = &stated->sidecar->input;
    if (take_channels(value, 1e-9, p->std)) {
        p->source.std = "model";
        stated->pixels = true;
    }
    return SAL_OK;
}

/* 224, [height, width] or [channels, height, width]. */
static enum sal_status take_size(struct stated *stated, const json_t *value)
{
    struct sal_preprocessing *p = &stated->sidecar->input;
    size_t n = json_array_size(value);
    const json_t *height = n ? json_array_get(value, n - (n > 1 ? 2 : 1)) : value;
    const json_t *width = n ? json_array_get(value, n - 1) : value;
    double h = json_number_value(height), w = json_number_value(width);
    if (n > 3 || !(h >= 1 && h <= 32768 && w >= 1 && w <= 32768) || h != floor(h) || w != floor(w))
        return SAL_OK;
    p->height = (int)h;
    p->width = (int)w;
    p->source.size = "model";
    return SAL_OK;
}

/* ONNX's own names for pixels, docs/MetadataProps.md. */
static enum sal_status take_format(struct stated *stated, const json_t *value)
{
    static const struct {
        const char *name;
        enum sal_channels channels;
    } formats[] = {{"Gray8", SAL_GRAY}, {"Rgb8", SAL_RGB}, {"Bgr8", SAL_BGR},
                   {"Rgba8", SAL_RGB},  {"Bgra8", SAL_BGR}};
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < sizeof(formats) / sizeof(*formats); i++)
        if (strcmp(name, formats[i].name) == 0) {
            stated->sidecar->input.channels = formats[i].channels;
            stated->sidecar->input.source.channels = "model";
        }
    return SAL_OK;
}

static enum sal_status take_range(struct stated *stated, const json_t *value)
{
    static const struct {
        const char *name;
        double low, high;
    } ranges[] = {{"NominalRange_0_255", 0, 255}, {"Normalized_0_1", 0, 1},
                  {"Normalized_1_1", -1, 1},      {"NominalRange_16_235", 16, 235}};
    struct sal_preprocessing *p = &stated->sidecar->input;
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < sizeof(ranges) / sizeof(*ranges); i++)
        if (strcmp(name, ranges[i].name) == 0) {
            p->range[0] = ranges[i].low;
            p->range[1] = ranges[i].high;
            p->source.range = "model";
            stated->pixels = true;
        }
    return SAL_OK;
}

static const struct {
    const char *key;
    bool text; /* the value is a word, not a literal */
    enum sal_status (*take)(struct stated *stated, const json_t *value);
} keys[] = {
    {"Image.NominalPixelRange", true, take_range}, /* before a mean is judged by it */
    {"Image.BitmapPixelFormat", true, take_format},
    {"names", false, take_names},
    {"class_names", false, take_names},
    {"classes", false, take_names},
    {"labels", false, take_names},
    {"mean", false, take_mean},
    {"image_mean", false, take_mean},
    {"std", false, take_std},
    {"image_std", false, take_std},
    {"size", false, take_size},
    {"imgsz", false, take_size},
    {"input_size", false, take_size},
};

enum sal_status sidecar_from_metadata(struct sal_sidecar *sidecar,
                                      const struct sal_sidecar_request *request,
                                      bool *found, struct sal_error *err)
{
    struct stated stated = {.sidecar = sidecar, .err = err};
    enum sal_status status = SAL_OK;
    for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++)
        for (int i = 0; !status && i < request->n_metadata; i++) {
            const char *text = request->metadata[i].value;
            if (strcmp(request->metadata[i].key, keys[k].key) != 0)
                continue;
            json_t *value = keys[k].text ? json_string(text) : literal(text);
            if (value)
                status = keys[k].take(&stated, value);
            json_decref(value);
        }
    /* Names alone say nothing about pixels, so the search goes on. */
    *found = stated.pixels;
    if (stated.pixels)
        sidecar->source = "model";
    return status;
}
