/*
 * Holds exported architectures against PyTorch:
 *
 *     compare FOLDER [NAME...] [-o TABLE.md]
 *
 * FOLDER is what tests/peers/export.py wrote: a folder for each architecture, with
 * reference arrays and an .onnx file for each way of exporting it. Each model is opened
 * and run forward and backward from the top logit, twice:
 *
 *   float   against PyTorch's float32: logits within 1e-4 of the largest, the input's
 *           gradient within 1e-3 of its largest
 *   double  the engine's twin against PyTorch's float64, both within 1e-5: no rounding
 *           to speak of is left, so this shows that both compute the same function
 *           (1e-4 for half types, whose files round constants such as sqrt(2) too)
 *
 * PyTorch's own distance from float32 to float64 stands beside them. A model with a
 * free batch axis is run with two copies of the image. Exits 1 when one does not agree,
 * 77 when there is nothing to compare.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "saliscope/npy.h"

static const double logits_tolerance = 1e-4, gradient_tolerance = 1e-3,
                    double_tolerance = 1e-5, half_tolerance = 1e-4;

struct references {
    struct sal_npy input, logits, gradient, logits64, gradient64;
};

/* Largest differences over the reference's largest magnitude. */
struct distance {
    double logits, gradient;
};

struct comparison {
    const char *name;         /* "resnet50" */
    char way[64];             /* "dynamo18" */
    struct distance one, two; /* float to float32, double to float64 */
    struct distance own;      /* PyTorch's float32 to its float64 */
    struct measured measured; /* in float */
    char message[512];        /* why it did not run */
    bool agrees;
};

/* ---- references -------------------------------------------------------------------
 */

static enum sal_status read_array(struct sal_npy *array, const char *folder,
                                  const char *name, struct sal_error *err)
{
    char path[640];
    snprintf(path, sizeof(path), "%s/%s.npy", folder, name);
    struct sal_file file;
    enum sal_status status = sal_file_read(&file, path, (size_t)1 << 30, err);
    if (status)
        return status;
    status = sal_npy_decode(array, file.bytes, path, err);
    sal_file_close(&file);
    return status;
}

static void release_references(struct references *r)
{
    sal_npy_release(&r->input);
    sal_npy_release(&r->logits);
    sal_npy_release(&r->gradient);
    sal_npy_release(&r->logits64);
    sal_npy_release(&r->gradient64);
}

static bool read_references(struct references *r, const char *folder,
                            struct sal_error *err)
{
    return !read_array(&r->input, folder, "input", err) &&
           !read_array(&r->logits, folder, "logits", err) &&
           !read_array(&r->gradient, folder, "gradient", err) &&
           !read_array(&r->logits64, folder, "logits64", err) &&
           !read_array(&r->gradient64, folder, "gradient64", err);
}

static int64_t top(const struct sal_npy *logits)
{
    int64_t best = 0;
    for (int64_t i = 1; i < logits->count; i++)
        if (logits->data[i] > logits->data[best])
            best = i;
    return best;
}

/* ---- distances --------------------------------------------------------------------
 */

/* Over all images of a batch; HUGE_VAL where anything is not finite. */
static double distance(const double *a, int batch, const struct sal_npy *reference)
{
    double most = 0, worst = 0;
    for (int64_t i = 0; i < batch * reference->count; i++) {
        double r = (double)reference->data[i % reference->count], d = fabs(a[i] - r);
        if (!isfinite(d))
            return HUGE_VAL;
        most = fmax(most, fabs(r));
        worst = fmax(worst, d);
    }
    return most > 0 ? worst / most : HUGE_VAL;
}

static double own_distance(const struct sal_npy *one, const struct sal_npy *two)
{
    double most = 0, worst = 0;
    for (int64_t i = 0; i < two->count; i++) {
        most = fmax(most, fabs((double)two->data[i]));
        worst = fmax(worst, fabs((double)one->data[i] - (double)two->data[i]));
    }
    return worst / most;
}

static struct distance distances(const struct measured *m, const struct sal_npy *logits,
                                 const struct sal_npy *gradient)
{
    if (m->n_logits != logits->count)
        return (struct distance){HUGE_VAL, HUGE_VAL};
    return (struct distance){distance(m->logits, m->batch, logits),
                             distance(m->gradient, m->batch, gradient)};
}

/* ---- one model --------------------------------------------------------------------
 */

typedef bool measurer(const struct measure_case *, struct measured *);

static bool measure_and_compare(struct comparison *c, measurer *measure,
                                const struct measure_case *m,
                                const struct sal_npy *logits,
                                const struct sal_npy *gradient, struct distance *d)
{
    struct measured result;
    bool ran = measure(m, &result);
    if (ran)
        *d = distances(&result, logits, gradient);
    else
        memcpy(c->message, result.message, sizeof(c->message));
    measured_release(&c->measured);
    c->measured = result;
    return ran;
}

static void compare(struct comparison *c, const char *folder,
                    const struct references *r)
{
    char path[640];
    snprintf(path, sizeof(path), "%s/%s.onnx", folder, c->way);
    double tolerance = strstr(c->name, "float16") ? half_tolerance : double_tolerance;
    struct measure_case m = {path, r->input.data, r->input.count, top(&r->logits)};
    c->own = (struct distance){own_distance(&r->logits, &r->logits64),
                               own_distance(&r->gradient, &r->gradient64)};
    c->agrees =
        measure_and_compare(c, measure_double, &m, &r->logits64, &r->gradient64,
                            &c->two) &&
        measure_and_compare(c, measure_float, &m, &r->logits, &r->gradient, &c->one) &&
        c->one.logits <= logits_tolerance && c->one.gradient <= gradient_tolerance &&
        c->two.logits <= tolerance && c->two.gradient <= tolerance;
}

static void say(const struct comparison *c)
{
    printf("%s %-22s %-10s ", c->agrees ? "ok  " : "FAIL", c->name, c->way);
    if (*c->message)
        printf("%s\n", c->message);
    else
        printf("logits %.1e, gradient %.1e; double %.1e, %.1e; "
               "PyTorch's own %.1e, %.1e; %.0f ms\n",
               c->one.logits, c->one.gradient, c->two.logits, c->two.gradient,
               c->own.logits, c->own.gradient, c->measured.ms);
    fflush(stdout);
}

/* ---- the table ---------------------------------------------------------------------
 */

static void write_head(FILE *table)
{
    fputs(
        "# Exported architectures against PyTorch\n\n"
        "Made by `make parity-architectures`: torchvision and timm architectures with\n"
        "seeded random weights (`tests/peers/`), exported by both of PyTorch's "
        "exporters,\n"
        "run forward and backward from the top logit. Differences are over the "
        "largest\n"
        "magnitude:\n\n"
        "* **float32**: ours to PyTorch's float32; logits at most 1e-4, d logit / d "
        "input\n"
        "  at most 1e-3\n"
        "* **float64**: the engine's twin in double to PyTorch's float64; at most\n"
        "  1e-5 (half types 1e-4: their files round constants such as sqrt(2) too)\n"
        "* **PyTorch's own**: its float32 to its float64\n\n"
        "Where a ReLU or a maximum is within rounding of a tie two correct programs\n"
        "differ by per cents in some pixels; inputs are chosen, by PyTorch alone, away\n"
        "from ties (`export.py`), and float64 has none.\n\n"
        "| model | exporter | opset | float32: logits | gradient | float64: logits | "
        "gradient | PyTorch's own: logits | gradient | operators left after folding |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n",
        table);
}

static void write_row(FILE *table, const struct comparison *c)
{
    const char *exporter = strncmp(c->way, "script", 6) == 0 ? "TorchScript" : "dynamo";
    const char *tail = c->way + strlen(c->way) - 1;
    const char *free_axes = *tail == 'b'   ? ", batch free"
                            : *tail == 'h' ? ", sides free"
                                           : "";
    fprintf(table, "| %s | %s%s | ", c->name, exporter, free_axes);
    if (*c->message)
        fprintf(table, "| | | | | | | **%s** |\n", c->message);
    else
        fprintf(table, "%ld | %.1e | %.1e | %.1e | %.1e | %.1e | %.1e | %s |\n",
                c->measured.opset, c->one.logits, c->one.gradient, c->two.logits,
                c->two.gradient, c->own.logits, c->own.gradient, c->measured.operators);
}

/* ---- all of them --------------------------------------------------------------------
 */

struct tally {
    int agree, differ;
    FILE *table; /* NULL: none wanted */
};

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int is_model(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".onnx") == 0;
}

static void compare_file(struct tally *tally, const char *folder, const char *name,
                         const char *file, const struct references *r)
{
    struct comparison c = {.name = name};
    snprintf(c.way, sizeof(c.way), "%.*s",
             (int)(strlen(file) - strlen(".onnx")) % (int)sizeof(c.way), file);
    compare(&c, folder, r);
    say(&c);
    if (tally->table)
        write_row(tally->table, &c);
    tally->agree += c.agrees;
    tally->differ += !c.agrees;
    measured_release(&c.measured);
}

static void compare_folder(struct tally *tally, const char *root, const char *name)
{
    char folder[512];
    snprintf(folder, sizeof(folder), "%.250s/%.250s", root, name);
    struct dirent **files;
    int n = scandir(folder, &files, is_model, alphasort);
    struct references r = {0};
    struct sal_error err = {0};
    bool readable = n > 0 && read_references(&r, folder, &err);
    if (n > 0 && !readable) {
        printf("FAIL %s: %s\n", name, err.text);
        tally->differ++;
    }
    for (int i = 0; i < n; i++) {
        if (readable)
            compare_file(tally, folder, name, files[i]->d_name, &r);
        free(files[i]);
    }
    if (n >= 0)
        free(files);
    release_references(&r);
}

static bool wanted(const char *name, char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return n == 0;
}

static void compare_all(struct tally *tally, const char *root, char *const *names,
                        int n_names)
{
    struct dirent **folders;
    int n = scandir(root, &folders, is_visible, alphasort);
    for (int i = 0; i < n; i++) {
        if (wanted(folders[i]->d_name, names, n_names))
            compare_folder(tally, root, folders[i]->d_name);
        free(folders[i]);
    }
    if (n >= 0)
        free(folders);
}

static int finish(const struct tally *tally, const char *root)
{
    if (tally->table && fclose(tally->table)) {
        fprintf(stderr, "compare: the table could not be written\n");
        return 2;
    }
    if (tally->agree + tally->differ == 0) {
        printf("skip: no exported models in %s; 'make peers-models' makes them\n",
               root);
        return 77;
    }
    printf("%d agree with PyTorch, %d do not\n", tally->agree, tally->differ);
    return tally->differ > 0;
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    if (argc > 3 && strcmp(argv[argc - 2], "-o") == 0) {
        tally.table = fopen(argv[argc - 1], "w");
        if (!tally.table) {
            perror(argv[argc - 1]);
            return 2;
        }
        write_head(tally.table);
        argc -= 2;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: compare FOLDER [NAME...] [-o TABLE.md]\n");
        return 2;
    }
    compare_all(&tally, argv[1], argv + 2, argc - 2);
    return finish(&tally, argv[1]);
}
