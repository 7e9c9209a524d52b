#include "saliscope/random.h"

#include <math.h>

static const uint64_t golden = 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio, odd */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t sal_random_bits(uint64_t key, uint64_t counter)
{
    return mix(key + (counter + 1) * golden);
}

/* Mixed twice: neighbouring streams must not be the same sequence one step on. */
uint64_t sal_random_key(uint64_t seed, uint64_t stream)
{
    return mix(sal_random_bits(seed, stream) ^ 0xd1b54a32d192ed03u);
}

double sal_random_uniform(uint64_t key, uint64_t counter)
{
    return (double)(sal_random_bits(key, counter) >> 11) * 0x1p-53;
}

void sal_random_normals(uint64_t key, uint64_t counter, double normals[2])
{
    const double turn = 6.283185307179586476925;
    double radius = sqrt(-2 * log(1 - sal_random_uniform(key, 2 * counter)));
    double angle = turn * sal_random_uniform(key, 2 * counter + 1);
    normals[0] = radius * cos(angle);
    normals[1] = radius * sin(angle);
}
