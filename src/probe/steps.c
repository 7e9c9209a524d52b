#include <math.h>
#include <stdlib.h>

#include "attacks.h"
#include "saliscope/random.h"

uint64_t sal_stream_key(const struct sal_search *search, enum sal_stream stream, uint64_t i)
{
    return sal_random_key(search->question->seed, ((uint64_t)stream << 48) + i);
}

/* Element i: normal, of which each second is left in pair; or in -1..1, or one of these. */
static double draw(enum sal_norm norm, bool uniform, uint64_t key, double *pair, int64_t i)
{
    if (norm == SAL_L2) {
        if (i % 2 == 0)
            sal_random_normals(key, (uint64_t)i / 2, pair);
        return pair[i % 2];
    }
    if (uniform)
        return 2 * sal_random_uniform(key, (uint64_t)i) - 1;
    return sal_random_bits(key, (uint64_t)i) >> 63 ? 1 : -1;
}

static void put_noise(const struct sal_space *space, enum sal_norm norm, bool uniform,
                      uint64_t key, double scale, float *p)
{
    double pair[2] = {0};
    for (int64_t i = 0; i < space->n; i++) {
        double v = draw(norm, uniform, key, pair, i) * scale;
        p[i] = (float)((double)space->p0[i] + v);
    }
}

static void random_point(const struct sal_space *space, struct sal_ball ball, bool uniform,
                         uint64_t key, float *p)
{
    enum { ROUNDS = 6 };
    double scale = ball.norm == SAL_LINF ? ball.eps : ball.eps / sqrt((double)space->n);
    put_noise(space, ball.norm, uniform, key, scale, p);
    for (int round = 0; ball.norm == SAL_L2 && round < ROUNDS && ball.eps > 0; round++) {
        sal_space_project(space, (struct sal_ball){SAL_LINF, INFINITY}, p);
        double length = sal_space_norm(space, SAL_L2, p);
        if (length <= 0 || fabs(length / ball.eps - 1) < 1e-6)
            break;
        scale *= ball.eps / length; /* what the box holds back the others make up for */
        put_noise(space, ball.norm, uniform, key, scale, p);
    }
    sal_space_project(space, ball, p);
}

void sal_step_random(const struct sal_search *search, struct sal_ball ball, bool uniform,
                     uint64_t key, float *p)
{
    random_point(&search->space, ball, uniform, key, p);
}

enum sal_status sal_probe_noised(const struct sal_probe_question *question, enum sal_norm norm,
                                 double eps, bool uniform, uint64_t i, sal_real *x,
                                 struct sal_error *err)
{
    const uint64_t stream = uniform ? SAL_STREAM_SENSITIVITY : SAL_STREAM_MAPS;
    struct sal_space space;
    enum sal_status status = sal_space_init(&space, question, err);
    if (status)
        return status;
    float *p = calloc((size_t)space.n, sizeof(*p));
    if (p) {
        random_point(&space, (struct sal_ball){norm, eps}, uniform,
                     sal_random_key(question->seed, (stream << 48) + i), p);
        sal_space_input(&space, p, x);
    } else {
        status = sal_fail(err, SAL_LIMIT, "no memory for a picture");
    }
    free(p);
    sal_space_release(&space);
    return status;
}

void sal_step_down(enum sal_norm norm, const float *g, double size, float *p, int64_t n)
{
    double length = norm == SAL_L2 ? sal_vector_norm(SAL_L2, g, n) : 1;
    if (!(length > 0))
        return;
    for (int64_t i = 0; i < n; i++) {
        double slope = (double)g[i];
        double step = norm == SAL_L2 ? slope / length : (slope > 0) - (slope < 0);
        p[i] = (float)((double)p[i] - size * step);
    }
}

void sal_step_within(const float *g, double size, const float *low, const float *high, float *p,
                     int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int sign = (g[i] > 0) - (g[i] < 0);
        float v = (float)((double)p[i] - size * sign);
        v = v < low[i] ? low[i] : v;
        p[i] = v > high[i] ? high[i] : v;
    }
}

double sal_step_cosine(double first, double last, int step, int steps)
{
    const double half_turn = 3.14159265358979323846;
    double at = steps > 1 ? (double)step / (steps - 1) : 0;
    return last + (first - last) * (1 + cos(half_turn * at)) / 2;
}
