#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "straight.h"
#include "sweep.h"

enum { ENDS = 2, START = 5 };
enum { LUCK = 10 }; /* errors that cancel each other may be that many tolerances */

#define KEPT_MAX ((int64_t)1 << 30) /* bytes of gradients */

/* A point on the way: x0 + alpha (x - x0). */
struct point {
    double alpha, score;
    double slope;       /* d score / d alpha */
    sal_real *gradient; /* d score / d x, [elements] */
    double turn;        /* length of what the gradient changes by up to the next point, times
                           x - x0, by elements */
};

struct points {
    struct sal_straight *way;
    int64_t elements;
    struct point *at; /* [n], rising alpha once both ends are there; room for most + 1 */
    int n, most;
    double next; /* alpha of the point that is due */
};

/* ---- trapezoids, numbered by the point they begin at ----------------------------------- */

static double width(const struct points *p, int i)
{
    return p->at[i + 1].alpha - p->at[i].alpha;
}

/* What the gradients say that the score changes by, less what it does. */
static double error_of(const struct points *p, int i)
{
    const struct point *a = &p->at[i], *b = &p->at[i + 1];
    return width(p, i) * (a->slope + b->slope) / 2 - (b->score - a->score);
}

/* How far the map may be off: nobody knows where between both its gradient changed. */
static double doubt_of(const struct points *p, int i)
{
    return width(p, i) * p->at[i].turn;
}

/* The sum alone would be reached with points that crowd where it errs, and a map no better;
 * so the map has each other turn. Few points are spread evenly. Of equals the first. */
static int to_be_halved(const struct points *p)
{
    int best = 0;
    double most = -1;
    for (int i = 0; i + 1 < p->n; i++) {
        double size = p->n < START ? width(p, i)
                      : p->n % 2   ? doubt_of(p, i)
                                   : fabs(error_of(p, i));
        if (size > most) {
            most = size;
            best = i;
        }
    }
    return best;
}

/* The relative completeness error; what it were if none cancelled another is told, and the
 * least so far. */
static double measure_error(const struct points *p)
{
    struct sal_straight *way = p->way;
    double sum = 0, apart = 0, change = fabs(p->at[p->n - 1].score - p->at[0].score);
    for (int i = 0; i + 1 < p->n; i++) {
        sum += error_of(p, i);
        apart += fabs(error_of(p, i));
    }
    double error = fabs(sum) > 0 ? fabs(sum) / change : 0;
    way->apart = apart > 0 ? apart / change : 0;
    if (!way->least_steps || error < way->least) {
        way->least = error;
        way->least_steps = p->n;
    }
    return error;
}

static bool adds_up(const struct points *p)
{
    const struct sal_straight *way = p->way;
    return measure_error(p) <= way->tolerance && way->apart <= LUCK * way->tolerance;
}

/* ---- a point ---------------------------------------------------------------------------- */

/* The image itself and the baseline come first. */
static bool another(void *context, int64_t done)
{
    struct points *p = context;
    if (done >= ENDS) {
        if (p->n >= START && p->way->tolerance > 0 && adds_up(p))
            return false;
        int i = to_be_halved(p);
        p->next = (p->at[i].alpha + p->at[i + 1].alpha) / 2;
    } else {
        p->next = done ? 0 : 1;
    }
    struct point *spare = &p->at[p->n];
    spare->gradient = malloc((size_t)p->elements * sizeof(*spare->gradient));
    return spare->gradient;
}

static void make(const void *context, int64_t i, sal_real *x)
{
    const struct points *p = context;
    if (i) /* the first is the image to the last bit */
        sal_straight_point(p->way, p->next, x);
    else
        memcpy(x, p->way->question->x, (size_t)p->elements * sizeof(*x));
}

static double step_of(const struct points *p, int64_t k)
{
    return (double)p->way->question->x[k] - (double)p->way->from[k];
}

static void measure_turn(struct points *p, int i)
{
    double sum = 0;
    const sal_real *a = p->at[i].gradient, *b = p->at[i + 1].gradient;
    for (int64_t k = 0; k < p->elements; k++) {
        double change = ((double)b[k] - (double)a[k]) * step_of(p, k);
        sum += change * change;
    }
    p->at[i].turn = sqrt(sum);
}

/* Behind those that are nearer to the baseline. */
static int insert(struct points *p, struct point point)
{
    int place = p->n++;
    for (; place > 0 && p->at[place - 1].alpha > point.alpha; place--)
        p->at[place] = p->at[place - 1];
    p->at[place] = point;
    return place;
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)i;
    struct points *p = context;
    struct point point = {.alpha = p->next, .score = score, .gradient = p->at[p->n].gradient};
    memcpy(point.gradient, gradient, (size_t)p->elements * sizeof(*gradient));
    for (int64_t k = 0; k < p->elements; k++)
        point.slope += (double)gradient[k] * step_of(p, k);
    int place = insert(p, point);
    if (place > 0)
        measure_turn(p, place - 1);
    if (place + 1 < p->n)
        measure_turn(p, place);
}

/* ---- the way ------------------------------------------------------------------------------ */

static void add_gradient(struct points *p, int i)
{
    const sal_real *gradient = p->at[i].gradient;
    double weight = (i ? width(p, i - 1) : 0) / 2 + (i + 1 < p->n ? width(p, i) : 0) / 2;
    for (int64_t k = 0; k < p->elements; k++)
        p->way->sum[k] += weight * (double)gradient[k];
}

static void settle(struct points *p)
{
    struct sal_straight *way = p->way;
    for (int i = 0; i < p->n; i++)
        add_gradient(p, i);
    way->reached = (struct sal_completeness){p->at[p->n - 1].score, p->at[0].score, 0};
    for (int64_t k = 0; k < p->elements; k++) {
        way->sum[k] *= step_of(p, k);
        way->reached.total += way->sum[k];
    }
    measure_error(p);
    way->used = way->done = p->n;
}

static enum sal_status visit(struct points *p, struct sal_map *map, struct sal_error *err)
{
    struct sal_question one = *p->way->question;
    one.batch = 1;
    struct sal_sweep sweep = {.n = p->most,
                              .gradient = true,
                              .context = p,
                              .another = another,
                              .make = make,
                              .take = take};
    enum sal_status status = sal_sweep_run(&sweep, &one, map, err);
    bool part = status == SAL_CANCELLED && p->n >= ENDS;
    if (status && !part)
        return status;
    if (p->n < ENDS)
        return sal_fail(err, SAL_LIMIT, "no memory for gradients");
    settle(p);
    p->way->wanted = part ? p->most : p->n;
    return SAL_OK;
}

enum sal_status sal_straight_adapt(struct sal_straight *way, struct sal_map *map,
                                   struct sal_error *err)
{
    int64_t elements = sal_input_elements(way->question->model);
    int64_t kept_max = KEPT_MAX / (elements * (int64_t)sizeof(sal_real));
    way->steps_max = (int)fmin(way->steps_max, fmax((double)kept_max, START));
    struct points p = {.way = way, .elements = elements};
    p.most = way->tolerance > 0 ? way->steps_max : way->steps;
    way->least_steps = 0;
    way->sum = calloc((size_t)elements, sizeof(*way->sum));
    p.at = calloc((size_t)p.most + 1, sizeof(*p.at));
    enum sal_status status = way->sum && p.at
                                 ? visit(&p, map, err)
                                 : sal_fail(err, SAL_LIMIT, "no memory for a map");
    for (int i = 0; p.at && i <= p.most; i++)
        free(p.at[i].gradient);
    free(p.at);
    return status;
}
