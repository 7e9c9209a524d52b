/* Files: bounded in, whole or not at all out. */
#include <fcntl.h>
#include <limits.h>
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
    static char whole[512];
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

static void links_are_replaced_only_where_they_lead_to_files(void **state)
{
    (void)state;
    struct sal_error err;
    struct stat st;
    assert_int_equal(sal_file_write(path("target"), "far", 3, NULL), SAL_OK);
    assert_int_equal(symlink("target", path("to-file")), 0);
    assert_int_equal(symlink("/dev/null", path("to-device")), 0);
    assert_int_equal(symlink("nowhere", path("to-nothing")), 0);
    assert_int_equal(sal_file_write(path("to-file"), "near", 4, NULL), SAL_OK);
    assert_content("to-file", "near");
    assert_content("target", "far");
    static const char *const names[] = {"to-device", "to-nothing"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sal_file_write(path(names[i]), "x", 1, &err), SAL_OUTPUT);
        assert_non_null(strstr(err.text, names[i]));
        assert_int_equal(lstat(path(names[i]), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
    }
}

static void a_new_file_obeys_the_umask(void **state)
{
    (void)state;
    struct stat st;
    mode_t old = umask(027);
    assert_int_equal(sal_file_write(path("mode"), "x", 1, NULL), SAL_OK);
    umask(old);
    assert_int_equal(stat(path("mode"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_name_may_be_as_long_as_the_system_lets_it(void **state)
{
    (void)state;
    char name[NAME_MAX + 2] = "";
    memset(name, 'n', NAME_MAX);
    assert_int_equal(sal_file_write(path(name), "long", 4, NULL), SAL_OK);
    assert_content(name, "long");
    name[NAME_MAX] = 'n';
    assert_int_equal(sal_file_write(path(name), "long", 4, NULL), SAL_OUTPUT);
}

static void a_dash_is_standard_output(void **state)
{
    (void)state;
    char text[8] = "";
    int ends[2], kept = dup(STDOUT_FILENO);
    struct sal_error err;
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    enum sal_status good = sal_file_write("-", "bytes", 5, NULL);
    int full = open("/dev/full", O_WRONLY);
    dup2(full, STDOUT_FILENO);
    enum sal_status bad = sal_file_write("-", "bytes", 5, &err);
    dup2(kept, STDOUT_FILENO);
    assert_int_equal(good, SAL_OK);
    assert_int_equal(read(ends[0], text, sizeof(text)), 5);
    assert_string_equal(text, "bytes");
    assert_int_equal(bad, SAL_OUTPUT);
    assert_non_null(strstr(err.text, "standard output"));
    close(full), close(kept), close(ends[0]), close(ends[1]);
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
        cmocka_unit_test(links_are_replaced_only_where_they_lead_to_files),
        cmocka_unit_test(a_new_file_obeys_the_umask),
        cmocka_unit_test(a_name_may_be_as_long_as_the_system_lets_it),
        cmocka_unit_test(a_dash_is_standard_output),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
