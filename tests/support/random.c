#include "random.h"

#include <stdlib.h>

int test_some(int n)
{
    const char *share = getenv("TEST_SHARE");
    int part = share ? (int)(n * strtod(share, NULL)) : n;
    return part > 1 ? part : 1;
}

double test_random(uint64_t *state)
{
    /* SplitMix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}
