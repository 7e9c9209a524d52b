
#include "saliscope/clock.h"
#include "saliscope/run.h"

/* A product and a sum may become one instruction here, whatever the rest is built with:
 * that instruction is what is measured. */
#if defined(__clang__)
#pragma clang fp contract(fast)
#else
#pragma GCC optimize("fp-contract=fast")
#endif

/* Of a trial: long enough that waking threads hardly counts. Of all: short, also where an
 * emulator takes a thousand times as long. */
static const double trial_seconds = 3e-3, all_seconds = 6e-2;

enum {
    STEPS = 1000, /* of a tile: some microseconds */
    TILES_MAX = 1 << 16,
    THREADS_MAX = 256,
    LINE = 64 / sizeof(float),
};

/* One tile: returns its floating-point operations. They start from what is in `sink` and
 * end there, so that none can be left out. The sums are independent, and more than a
 * processor has fused operations in flight. */
typedef double (*tile_function)(float *sink);

#define TILE(name, lanes, sums, attributes)                                            \
    attributes static double name(float *sink)                                         \
    {                                                                                  \
        typedef float vector __attribute__((vector_size((lanes) * sizeof(float))));    \
        vector sum[sums], total = {0};                                                 \
        const vector factor = total + 0.999f, step = total + 1e-3f;                    \
        for (int i = 0; i < (sums); i++)                                               \
            sum[i] = total + *sink + (float)i;                                         \
        for (int n = 0; n < STEPS; n++) {                                              \
            _Pragma("GCC unroll 32") for (int i = 0; i < (sums); i++)                  \
                sum[i] = sum[i] * factor + step;                                       \
        }                                                                              \
        for (int i = 0; i < (sums); i++)                                               \
            total += sum[i];                                                           \
        for (int i = 0; i < (lanes); i++)                                              \
            *sink += total[i];                                                         \
        return 2.0 * STEPS * (sums) * (lanes);                                         \
    }

#if defined(__x86_64__)
TILE(tile_sse, 4, 12, )
TILE(tile_avx2, 8, 12, __attribute__((target("avx2,fma"))))
TILE(tile_avx512, 16, 24, __attribute__((target("avx512f"))))

static tile_function widest(void)
{
    if (__builtin_cpu_supports("avx512f"))
        return tile_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return tile_avx2;
    return tile_sse;
}
#else
TILE(tile_any, 4, 24, )

static tile_function widest(void)
{
    return tile_any;
}
#endif

struct trial {
    tile_function tile;
    float sinks[THREADS_MAX * LINE]; /* a cache line for each worker */
};

static void do_tile(void *context, int tile, int worker)
{
    struct trial *trial = context;
    (void)tile;
    trial->tile(&trial->sinks[worker * (int)LINE]);
}

double sal_peak_flops(struct sal_pool *pool)
{
    struct trial trial = {.tile = widest()};
    double work = trial.tile(trial.sinks), best = 0, took;
    double begin = sal_seconds(), now = begin;
    int tiles = 4 * sal_pool_threads(pool);
    do {
        sal_pool_run(pool, tiles, do_tile, &trial);
        took = sal_seconds() - now;
        now += took;
        double rate = work * tiles / took;
        best = rate > best ? rate : best;
        if (took < trial_seconds && tiles < TILES_MAX)
            tiles *= 2;
    } while (now - begin < all_seconds);
    return best;
}
