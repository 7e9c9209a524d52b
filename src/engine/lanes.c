#include "lanes.h"

#include <stdatomic.h>

#include "lanes_kernels.h"

/* From the plainest to the best; each but the first asks the processor. */
static const struct sal_lanes *const tables[] = {
    &sal_lanes_base,
#if defined(__x86_64__) && !defined(SAL_DOUBLE)
    &sal_lanes_avx2,
    &sal_lanes_avx512,
#endif
};

enum { TABLES = sizeof(tables) / sizeof(*tables) };

bool sal_lanes_supported(const struct sal_lanes *lanes)
{
#if defined(__x86_64__) && !defined(SAL_DOUBLE)
    if (lanes == &sal_lanes_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (lanes == &sal_lanes_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return lanes == &sal_lanes_base;
}

bool sal_lanes_bf16(const struct sal_lanes *lanes)
{
#if defined(__x86_64__) && !defined(SAL_DOUBLE)
    return lanes->tile_bf16 && sal_lanes_supported(lanes) &&
           __builtin_cpu_supports("avx512bf16");
#else
    return lanes->tile_bf16 != NULL;
#endif
}

const struct sal_lanes *const *sal_lanes_all(int *n)
{
    *n = TABLES;
    return tables;
}

static const struct sal_lanes *best(void)
{
    int i = TABLES - 1;
    while (i > 0 && !sal_lanes_supported(tables[i]))
        i--;
    return tables[i];
}

static _Atomic(const struct sal_lanes *) used;

const struct sal_lanes *sal_lanes(void)
{
    const struct sal_lanes *lanes = atomic_load_explicit(&used, memory_order_relaxed);
    if (!lanes)
        atomic_store_explicit(&used, lanes = best(), memory_order_relaxed);
    return lanes;
}

void sal_lanes_use(const struct sal_lanes *lanes)
{
    atomic_store(&used, lanes ? lanes : best());
}
