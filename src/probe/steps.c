#include <math.h>

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

static void put_noise(const struct sal_search *search, enum sal_norm norm, bool uniform,
                      uint64_t key, double scale, float *p)
{
    const struct sal_space *space = &search->space;
    double pair[2] = {0};
    for (int64_t i = 0; i < space->n; i++) {
        double v = draw(norm, uniform, key, pair, i) * scale;
        p[i] = (float)((double)space->p0[i] + v);
    }
}

void sal_step_random(const struct sal_search *search, struct sal_ball ball, bool uniform,
                     uint64_t key, float *p)
{
    enum { ROUNDS = 6 };
    const struct sal_space *space = &search->space;
    double scale = ball.norm == SAL_LINF ? ball.eps : ball.eps / sqrt((double)space->n);
    put_noise(search, ball.norm, uniform, key, scale, p);
    for (int round = 0; ball.norm == SAL_L2 && round < ROUNDS && ball.eps > 0; round++) {
        sal_space_project(space, (struct sal_ball){SAL_LINF, INFINITY}, p);
        double length = sal_space_norm(space, SAL_L2, p);
        if (length <= 0 || fabs(length / ball.eps - 1) < 1e-6)
            break;
        scale *= ball.eps / length; /* what the box holds back the others make up for */
        put_noise(search, ball.norm, uniform, key, scale, p);
    }
    sal_space_project(space, ball, p);
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

double sal_step_cosine(double first, double last, int step, int steps)
{
    const double half_turn = 3.14159265358979323846;
    double at = steps > 1 ? (double)step / (steps - 1) : 0;
    return last + (first - last) * (1 + cos(half_turn * at)) / 2;
}
