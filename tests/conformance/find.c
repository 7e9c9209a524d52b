#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conformance.h"

enum { DEPTH_MAX = 8, PATH_SIZE = 4096 };

static bool add(struct tests *tests, const char *root, const char *path)
{
    if (tests->n % 256 == 0) {
        struct test *more =
            realloc(tests->at, (size_t)(tests->n + 256) * sizeof(*more));
        if (!more)
            return false;
        tests->at = more;
    }
    const char *name = path + strlen(root);
    name += strspn(name, "/");
    struct test *test = &tests->at[tests->n];
    *test = (struct test){.name = strdup(*name ? name : "."), .path = strdup(path)};
    tests->n++;
    return test->name && test->path;
}

static bool has_model(const char *path)
{
    char model[PATH_SIZE + 16];
    snprintf(model, sizeof(model), "%s/model.onnx", path);
    return access(model, F_OK) == 0;
}

/* One folder: its subfolders, and itself where it is a test. */
static bool walk(struct tests *tests, const char *root, const char *path, int depth)
{
    static const char set[] = "test_data_set_";
    DIR *folder = opendir(path);
    if (!folder)
        return depth > 0 && errno != ENOMEM && errno != EMFILE;
    bool good = true, recorded = false;
    for (struct dirent *entry; good && (entry = readdir(folder));) {
        char below[PATH_SIZE];
        struct stat status;
        int size = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || size >= (int)sizeof(below) ||
            lstat(below, &status) != 0 || !S_ISDIR(status.st_mode))
            continue;
        if (strncmp(entry->d_name, set, sizeof(set) - 1) == 0)
            recorded = true;
        else if (depth < DEPTH_MAX)
            good = walk(tests, root, below, depth + 1);
    }
    closedir(folder);
    return good && recorded && has_model(path) ? add(tests, root, path) : good;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct test *)a)->name, ((const struct test *)b)->name);
}

bool tests_find(struct tests *tests, const char *root)
{
    *tests = (struct tests){0};
    bool good = walk(tests, root, root, 0);
    if (good && tests->n)
        qsort(tests->at, (size_t)tests->n, sizeof(*tests->at), by_name);
    return good;
}

void tests_release(struct tests *tests)
{
    for (int i = 0; i < tests->n; i++) {
        free(tests->at[i].name);
        free(tests->at[i].path);
    }
    free(tests->at);
    *tests = (struct tests){0};
}
