/*
 * A sweep of windows over an image: whole forwards against boxes (region.h), in turn.
 *
 *     regions MODEL [-w WINDOW] [-s STRIDE] [-b BATCH] [-d BATCH] [-n WINDOWS] [-r ROUNDS]
 *             [-t THREADS] [-c] [-e] [-v]
 *
 * Takes n windows (default 96) spread over the image; -b images per pass of boxes, -d of
 * whole forwards. Prints milliseconds per window of both, the least of ROUNDS rounds, their
 * ratio, what the multiply-adds alone would give, and the largest difference of a score.
 * -c: processor time instead of the clock's. -e: no Winograd. -v: time by step of the boxes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "region_state.h"
#include "saliscope/model.h"
#include "saliscope/region.h"

struct bench {
    const char *path;
    int window, stride, batch, dense, n, rounds, threads;
    bool exact, verbose;
    struct sal_model *model;
    struct sal_pool *pool;
    sal_real *x, *all; /* the image; n of it, each with a window replaced */
    int64_t each;
    double *scores[2];
    double *ms; /* of the last steps, and of what follows them */
};

static clockid_t clock_in_use = CLOCK_MONOTONIC;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(clock_in_use, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void must(enum sal_status status, const struct sal_error *err)
{
    if (!status)
        return;
    fprintf(stderr, "regions: %s\n", err->text);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "regions: no memory\n");
        exit(1);
    }
    return memory;
}

/* Something with edges and slopes. */
static void paint(struct bench *b)
{
    const struct sal_model_input *input = sal_model_input(b->model);
    b->each = (int64_t)input->channels * input->height * input->width;
    b->x = need(calloc((size_t)b->each, sizeof(sal_real)));
    for (int64_t i = 0; i < b->each; i++)
        b->x[i] = (sal_real)(sin(0.013 * (double)(i % 9973)) + sin(0.71 * (double)i));
}

static void cover(struct bench *b)
{
    const struct sal_model_input *input = sal_model_input(b->model);
    int columns = (input->width - b->window + b->stride - 1) / b->stride + 1;
    int rows = (input->height - b->window + b->stride - 1) / b->stride + 1;
    int total = rows * columns;
    b->n = b->n > total ? total : b->n;
    b->all = need(calloc((size_t)b->n * (size_t)b->each, sizeof(sal_real)));
    for (int i = 0; i < b->n; i++) {
        int k = (int)((long)i * total / b->n), pixels = input->height * input->width;
        sal_real *x = b->all + i * b->each;
        memcpy(x, b->x, sizeof(*x) * (size_t)b->each);
        for (int c = 0; c < input->channels; c++)
            for (int y = k / columns * b->stride, m = 0; m < b->window; m++)
                for (int z = k % columns * b->stride, l = 0; l < b->window; l++)
                    if (y + m < input->height && z + l < input->width)
                        x[c * pixels + (y + m) * input->width + z + l] = 0;
    }
}

static double run_dense(struct bench *b, struct sal_run *run)
{
    struct sal_shape shape;
    struct sal_error err;
    double start = now_ms();
    for (int i = 0; i + b->dense <= b->n; i += b->dense) {
        must(sal_run_forward(run, b->all + i * b->each, NULL, &err), &err);
        const sal_real *y = sal_run_value(run, sal_model_output(b->model)->value, &shape);
        int64_t k = sal_shape_count(&shape) / b->dense;
        for (int j = 0; j < b->dense; j++)
            b->scores[0][i + j] = (double)y[j * k];
    }
    return (now_ms() - start) / (b->n / b->dense * b->dense);
}

/* A forward, with the time of each step. */
static void run_parts(struct bench *b, struct sal_region *region, const sal_real *x)
{
    struct sal_error err;
    double from = now_ms();
    must(sal_region_begin(region, x, b->batch, &err), &err);
    for (int i = 0; i < region->n_steps; i++, from = now_ms()) {
        must(sal_region_step(region, i, &err), &err);
        b->ms[i] = now_ms() - from;
    }
    must(sal_region_end(region, x, b->batch, NULL, &err), &err);
    b->ms[region->n_steps] = now_ms() - from;
}

static double run_boxes(struct bench *b, struct sal_region *region)
{
    struct sal_shape shape;
    double start = now_ms();
    for (int i = 0; i + b->batch <= b->n; i += b->batch) {
        run_parts(b, region, b->all + i * b->each);
        const sal_real *y = sal_region_scores(region, &shape);
        int64_t k = sal_shape_count(&shape) / b->batch;
        for (int j = 0; j < b->batch; j++)
            b->scores[1][i + j] = (double)y[j * k];
    }
    return (now_ms() - start) / (b->n / b->batch * b->batch);
}

static double largest_difference(const struct bench *b, double *range)
{
    double most = 0, low = b->scores[0][0], high = low;
    for (int i = 0; i < b->n / b->dense * b->dense && i < b->n / b->batch * b->batch; i++) {
        most = fmax(most, fabs(b->scores[0][i] - b->scores[1][i]));
        low = fmin(low, b->scores[0][i]);
        high = fmax(high, b->scores[0][i]);
    }
    *range = high - low;
    return most;
}

static void list_steps(const struct bench *b, const struct sal_region *r)
{
    for (int i = 0; i < r->n_steps; i++) {
        const struct sal_field *to = r->steps[i].to;
        printf("%7.2f ms %6.1f %% of %4lld x %-4lld %5lld channels  %-10s %s\n",
               b->ms[i],
               100. * (double)sal_field_pixels(to) /
                   ((double)to->size[0] * (double)to->size[1] * to->n),
               (long long)to->size[0], (long long)to->size[1],
               (long long)to->planes * to->unit, r->steps[i].node->op->name,
               r->steps[i].node->name);
    }
    printf("%7.2f ms whole maps, %d nodes\n", b->ms[r->n_steps], r->back.n_nodes);
}

static struct sal_region *open_region(struct bench *b)
{
    struct sal_region *region;
    struct sal_error err;
    struct sal_box *boxes = need(calloc((size_t)b->n, sizeof(*boxes)));
    for (int i = 0; i < b->n; i++)
        boxes[i] = sal_box_of_change(b->model, b->x, b->all + i * b->each);
    must(sal_region_open(&region, b->model,
                         &(struct sal_region_options){.batch = b->batch,
                                                      .exact = b->exact,
                                                      .pool = b->pool,
                                                      .examples = boxes,
                                                      .n_examples = b->n},
                         b->x, NULL, &err), &err);
    free(boxes);
    return region;
}

static void compare(struct bench *b)
{
    struct sal_run *run;
    struct sal_error err;
    struct sal_region *region = open_region(b);
    must(sal_run_open(&run, b->model,
                      &(struct sal_run_options){
                          .batch = b->dense, .exact = b->exact, .pool = b->pool},
                      &err), &err);
    double least[2] = {HUGE_VAL, HUGE_VAL}, range;
    b->ms = need(calloc((size_t)region->n_steps + 1, sizeof(double)));
    b->scores[0] = need(calloc((size_t)b->n, sizeof(double)));
    b->scores[1] = need(calloc((size_t)b->n, sizeof(double)));
    for (int i = 0; i < b->rounds; i++) {
        least[0] = fmin(least[0], run_dense(b, run));
        least[1] = fmin(least[1], run_boxes(b, region));
    }
    double most = largest_difference(b, &range);
    if (b->verbose)
        list_steps(b, region);
    printf("%s: whole %.2f ms, boxes %.2f ms a window, ratio %.2f, by multiply-adds %.2f; "
           "largest difference %.3g of %.3g\n",
           b->path, least[0], least[1], least[0] / least[1], 1 / sal_region_share(region),
           most, range);
    sal_run_close(run);
    sal_region_close(region);
}

int main(int argc, char **argv)
{
    struct bench b = {.window = 16, .stride = 8, .batch = 16, .dense = 8, .n = 96,
                      .rounds = 3, .threads = 0};
    struct sal_error err;
    for (int c; (c = getopt(argc, argv, "w:s:b:d:n:r:t:ecv")) != -1;) {
        int value = optarg ? atoi(optarg) : 0;
        switch (c) {
        case 'w': b.window = value; break;
        case 's': b.stride = value; break;
        case 'b': b.batch = value; break;
        case 'd': b.dense = value; break;
        case 'n': b.n = value; break;
        case 'r': b.rounds = value; break;
        case 't': b.threads = value; break;
        case 'c': clock_in_use = CLOCK_PROCESS_CPUTIME_ID; break;
        case 'e': b.exact = true; break;
        case 'v': b.verbose = true; break;
        default: return 2;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: regions MODEL [options]\n");
        return 2;
    }
    b.path = argv[optind];
    must(sal_pool_open(&b.pool, b.threads, &err), &err);
    must(sal_model_open(&b.model, b.path, &(struct sal_model_options){.pool = b.pool}, &err),
         &err);
    paint(&b);
    cover(&b);
    compare(&b);
    sal_model_close(b.model);
    sal_pool_close(b.pool);
    return 0;
}
