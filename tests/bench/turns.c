#include "turns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saliscope/clock.h"

_Noreturn void turns_give_up(const struct sal_error *err)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, err->text);
    exit(1);
}

enum sal_status turns_input(const struct sal_model *model, const char *path, float **x,
                            struct sal_error *err)
{
    size_t n = (size_t)sal_input_elements(model);
    *x = calloc(n, sizeof(**x));
    FILE *file = fopen(path, "rb");
    size_t got = file && *x ? fread(*x, sizeof(**x), n, file) : 0;
    if (file)
        fclose(file);
    return got == n ? SAL_OK : sal_fail(err, SAL_BAD_INPUT, "%s: not %zu floats", path, n);
}

static void run(const struct turns *turns, int n)
{
    for (int i = 0; i < n; i++) {
        double begin = sal_seconds();
        turns->once(turns->bench);
        printf("%s%.6g", i ? ", " : "[", (sal_seconds() - begin) * 1e3);
    }
    puts("]");
}

void turns_obey(const struct turns *turns)
{
    char line[64];
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        if (strncmp(line, "run ", 4) == 0)
            run(turns, atoi(line + 4));
        else if (strcmp(line, "values\n") == 0)
            turns->values(turns->bench);
        else if (strcmp(line, "peak\n") == 0 && turns->peak)
            turns->peak(turns->bench);
        fflush(stdout);
    }
}
