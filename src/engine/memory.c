#include <unistd.h>

#include "model_parts.h"

size_t sal_default_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t half = pages > 0 && size > 0 ? (size_t)pages * (size_t)size / 2 : 0;
    size_t most = (size_t)8 << 30;
    return half && half < most ? half : most;
}
