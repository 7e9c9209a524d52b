/* Files: bounded in, whole or not at all out. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "saliscope/file.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/saliscope-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static const char *path(const char *name)
{
    static char whole[128];
    snprintf(whole, sizeof(whole), "%s/%s", folder, name);
    return whole;
}

static void assert_content(const char *name, const char *content)
{
    struct sal_file file;
    assert_int_equal(sal_file_read(&file, path(name), 1000, NULL), SAL_OK);
    assert_int_equal(file.bytes.size, strlen(content));
    assert_memory_equal(file.bytes.data, content, strlen(content));
    sal_file_close(&file);
    assert_int_equal(sal_file_map(&file, path(name), 1000, NULL), SAL_OK);
    assert_memory_equal(file.bytes.data, content, strlen(content));
    sal_file_close(&file);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    assert_int_equal(sal_file_write(path("a"), "hello", 5, NULL), SAL_OK);
    assert_content("a", "hello");
    assert_int_equal(sal_file_write(path("a"), "again", 5, NULL), SAL_OK);
    assert_content("a", "again");
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct sal_file file;
    struct sal_error err;
    assert_int_equal(mkfifo(path("fifo"), 0600), 0);
    assert_int_equal(sal_file_write(path("empty"), "", 0, NULL), SAL_OK);
    static const char *const names[] = {"fifo", "empty", "missing", "."};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        assert_int_equal(sal_file_map(&file, path(names[i]), 1000, &err), SAL_BAD_INPUT);
        assert_non_null(strstr(err.text, names[i]));
        assert_int_equal(sal_file_read(&file, path(names[i]), 1000, &err), SAL_BAD_INPUT);
    }
    assert_int_equal(sal_file_write(path("big"), "0123456789", 10, NULL), SAL_OK);
    assert_int_equal(sal_file_map(&file, path("big"), 9, &err), SAL_LIMIT);
    assert_int_equal(sal_file_map(&file, path("big"), 10, &err), SAL_OK);
    sal_file_close(&file);
}

static void an_output_that_cannot_be_is_told(void **state)
{
    (void)state;
    struct sal_error err;
    assert_int_equal(sal_file_write(path("no/such/folder"), "x", 1, &err), SAL_OUTPUT);
    assert_int_equal(sal_file_write(path("."), "x", 1, &err), SAL_OUTPUT);
    assert_int_equal(sal_file_write("/dev/null", "x", 1, &err), SAL_OUTPUT);
}

static int entries(void)
{
    char command[128];
    snprintf(command, sizeof(command), "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    int n = -1;
    assert_int_equal(fscanf(pipe, "%d", &n), 1);
    pclose(pipe);
    return n;
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    static char much[100000];
    struct sal_error err;
    struct rlimit old, small = {1000, RLIM_INFINITY};
    assert_int_equal(sal_file_write(path("kept"), "old", 3, NULL), SAL_OK);
    int before = entries();
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    enum sal_status status = sal_file_write(path("kept"), much, sizeof(much), &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, SAL_OUTPUT);
    assert_non_null(strstr(err.text, "kept"));
    assert_content("kept", "old");
    assert_int_equal(entries(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(an_output_that_cannot_be_is_told),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
