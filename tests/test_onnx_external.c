#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx_build.h"
#include "onnx_read.h"

/* Every test works in a folder of its own: outside/ is what must not be reached,
 * model/ holds the model. */
static char home[64];

static char *in_home(const char *name)
{
    static char paths[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", home, name);
    return paths[next];
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(in_home(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static const float weights[] = {1, 2, 3, 4, 5, 6};

static int set_up(void **state)
{
    (void)state;
    strcpy(home, "/tmp/saliscope-test-XXXXXX");
    if (!mkdtemp(home))
        return -1;
    mkdir(in_home("model"), 0700);
    mkdir(in_home("model/sub"), 0700);
    mkdir(in_home("outside"), 0700);
    write_file("model/w.bin", weights, sizeof weights);
    write_file("model/sub/w.bin", weights, sizeof weights);
    write_file("outside/w.bin", weights, sizeof weights);
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char below[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (unlink(below) != 0)
            remove_tree(below);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static int tear_down(void **state)
{
    (void)state;
    remove_tree(home);
    return 0;
}

struct data {
    const char *location, *offset, *length;
};

/* y = x + a + b; a and b of three floats each, where the two rows say. */
static void write_model(const char *name, const struct data *a, const struct data *b)
{
    static const int64_t three[] = {3};
    struct onnx_build build;
    onnx_build_init(&build, 13);
    onnx_build_input(&build, "x", SAL_ONNX_FLOAT, 1, three);
    onnx_build_external(&build, "a", SAL_ONNX_FLOAT, 1, three, a->location, a->offset,
                        a->length);
    if (b)
        onnx_build_external(&build, "b", SAL_ONNX_FLOAT, 1, three, b->location, b->offset,
                            b->length);
    onnx_build_node(&build, "Add", "x,a", "y");
    onnx_build_output(&build, "y", SAL_ONNX_FLOAT, 1, three);
    struct sal_span bytes = onnx_build_finish(&build);
    write_file(name, bytes.data, bytes.size);
    onnx_build_release(&build);
}

static void assert_opens(const char *name, int files, float first)
{
    struct sal_onnx onnx;
    struct sal_error err;
    float values[3];
    if (sal_onnx_open(&onnx, in_home(name), &err) != SAL_OK)
        fail_msg("%s", err.text);
    assert_int_equal(onnx.n_external, files);
    assert_true(onnx.graph.initialisers[0].external);
    assert_int_equal(sal_onnx_tensor_read_float(&onnx.graph.initialisers[0], values, NULL),
                     SAL_OK);
    assert_true(values[0] == first && values[2] == first + 2);
    sal_onnx_close(&onnx);
}

static void assert_refused(const struct data *a, const char *text)
{
    struct sal_onnx onnx;
    struct sal_error err = {0};
    write_model("model/m.onnx", a, NULL);
    assert_int_equal(sal_onnx_open(&onnx, in_home("model/m.onnx"), &err), SAL_BAD_INPUT);
    if (!strstr(err.text, text))
        fail_msg("'%s' is not in '%s'", text, err.text);
    assert_memory_equal(err.text, "m.onnx: tensor 'a': ", 20);
}

static void two_tensors_share_one_mapping(void **state)
{
    (void)state;
    struct sal_onnx onnx;
    float values[3];
    write_model("model/m.onnx", &(struct data){"w.bin", NULL, NULL},
                &(struct data){"w.bin", "12", "12"});
    assert_opens("model/m.onnx", 1, 1);
    assert_int_equal(sal_onnx_open(&onnx, in_home("model/m.onnx"), NULL), SAL_OK);
    sal_onnx_tensor_read_float(&onnx.graph.initialisers[1], values, NULL);
    assert_true(values[0] == 4 && values[2] == 6);
    sal_onnx_close(&onnx);
}

static void data_may_lie_in_a_folder_below(void **state)
{
    (void)state;
    write_model("model/m.onnx", &(struct data){"sub/w.bin", "4", "12"},
                &(struct data){"./w.bin", "0", "12"});
    assert_opens("model/m.onnx", 2, 2);
}

static void the_folder_is_the_models_whatever_the_current_one(void **state)
{
    (void)state;
    char cwd[4096];
    struct sal_onnx onnx;
    assert_non_null(getcwd(cwd, sizeof cwd));
    write_model("model/m.onnx", &(struct data){"w.bin", NULL, NULL}, NULL);
    assert_int_equal(chdir(in_home("model")), 0);
    assert_int_equal(sal_onnx_open(&onnx, "m.onnx", NULL), SAL_OK);
    sal_onnx_close(&onnx);
    assert_int_equal(chdir(cwd), 0);
}

static void nothing_outside_the_folder_is_read(void **state)
{
    (void)state;
    char absolute[256];
    snprintf(absolute, sizeof absolute, "%s/outside/w.bin", home);
    static const char *const leaving[] = {
        "../outside/w.bin", "sub/../../outside/w.bin", "sub/../w.bin", "..", "./..", "/etc/passwd",
    };
    for (size_t i = 0; i < sizeof leaving / sizeof *leaving; i++)
        assert_refused(&(struct data){leaving[i], NULL, NULL}, "leaves the model's folder");
    assert_refused(&(struct data){absolute, NULL, NULL}, "leaves the model's folder");
}

static void symbolic_links_are_not_followed(void **state)
{
    (void)state;
    assert_int_equal(symlink("../outside/w.bin", in_home("model/out.bin")), 0);
    assert_int_equal(symlink("../outside", in_home("model/out")), 0);
    assert_int_equal(symlink("w.bin", in_home("model/in.bin")), 0);
    assert_refused(&(struct data){"out.bin", NULL, NULL}, "symbolic link");
    assert_refused(&(struct data){"out/w.bin", NULL, NULL}, "symbolic link");
    assert_refused(&(struct data){"in.bin", NULL, NULL}, "symbolic link");
}

static void only_regular_files_are_read(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_home("model/fifo"), 0600), 0);
    assert_refused(&(struct data){"fifo", NULL, NULL}, "not a regular file");
    assert_refused(&(struct data){"sub", NULL, NULL}, "not a regular file");
    assert_refused(&(struct data){"none.bin", NULL, NULL}, "is not there");
}

static void offset_and_length_stay_within_the_file(void **state)
{
    (void)state;
    assert_refused(&(struct data){"w.bin", "16", NULL}, "has 24 bytes");
    assert_refused(&(struct data){"w.bin", "16", "12"}, "has 24 bytes");
    assert_refused(&(struct data){"w.bin", "25", "12"}, "has 24 bytes");
    assert_refused(&(struct data){"w.bin", "18446744073709551610", "12"}, "has 24 bytes");
    assert_refused(&(struct data){"w.bin", "0", "16"}, "needs 12 bytes, external data has 16");
    assert_refused(&(struct data){"w.bin", "0", "8"}, "needs 12 bytes, external data has 8");
}

static void offset_and_length_are_plain_numbers(void **state)
{
    (void)state;
    static const char *const wrong[] = {"-4", "", " 4", "4 ", "0x4", "+4", "1e3",
                                        "18446744073709551616"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_refused(&(struct data){"w.bin", wrong[i], NULL}, "offset must be");
        assert_refused(&(struct data){"w.bin", NULL, wrong[i]}, "length must be");
    }
}

static void keys_are_known_and_given_once(void **state)
{
    (void)state;
    static const struct {
        const char *key, *refused;
    } cases[] = {
        {"checksum", NULL},
        {"basepath", NULL},
        {"__class__", "unknown key '__class__'"},
        {"location", "two keys 'location'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sal_onnx_property keys[] = {{"location", "w.bin"}, {cases[i].key, "x"}};
        struct sal_onnx onnx = {0};
        struct sal_external *external;
        struct sal_span bytes;
        struct sal_error err;
        assert_int_equal(sal_external_begin(&external, &onnx, in_home("model/m.onnx"), &err),
                         SAL_OK);
        enum sal_status status = sal_external_find(external, keys, 2, 12, &bytes, &err);
        sal_external_end(external);
        assert_int_equal(status, cases[i].refused ? SAL_BAD_INPUT : SAL_OK);
        if (cases[i].refused)
            assert_non_null(strstr(err.text, cases[i].refused));
        sal_onnx_close(&onnx);
    }
}

static void a_snapshot_of_links_to_blobs_opens(void **state)
{
    (void)state;
    mkdir(in_home("blobs"), 0700);
    mkdir(in_home("snapshots"), 0700);
    mkdir(in_home("snapshots/rev"), 0700);
    write_model("blobs/1111", &(struct data){"m.onnx_data", "12", "12"}, NULL);
    write_file("blobs/2222", weights, sizeof weights);
    assert_int_equal(symlink("../../blobs/1111", in_home("snapshots/rev/m.onnx")), 0);
    assert_int_equal(symlink("../../blobs/2222", in_home("snapshots/rev/m.onnx_data")), 0);
    assert_opens("snapshots/rev/m.onnx", 1, 4);
}

static void a_snapshots_link_out_of_its_blobs_is_refused(void **state)
{
    (void)state;
    struct sal_onnx onnx;
    struct sal_error err;
    mkdir(in_home("blobs"), 0700);
    mkdir(in_home("snapshots"), 0700);
    write_model("blobs/1111", &(struct data){"m.onnx_data", "12", "12"}, NULL);
    assert_int_equal(symlink("../blobs/1111", in_home("snapshots/m.onnx")), 0);
    assert_int_equal(symlink("../outside/w.bin", in_home("snapshots/m.onnx_data")), 0);
    assert_int_equal(sal_onnx_open(&onnx, in_home("snapshots/m.onnx"), &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "symbolic link"));
    mkfifo(in_home("blobs/fifo"), 0600);
    unlink(in_home("snapshots/m.onnx_data"));
    assert_int_equal(symlink("../blobs/fifo", in_home("snapshots/m.onnx_data")), 0);
    assert_int_equal(sal_onnx_open(&onnx, in_home("snapshots/m.onnx"), &err), SAL_BAD_INPUT);
}

static void bytes_without_a_folder_have_no_external_data(void **state)
{
    (void)state;
    struct sal_onnx onnx;
    struct sal_file file;
    struct sal_error err;
    write_model("model/m.onnx", &(struct data){"w.bin", NULL, NULL}, NULL);
    assert_int_equal(sal_file_map(&file, in_home("model/m.onnx"), 1 << 20, &err), SAL_OK);
    assert_int_equal(sal_onnx_parse(&onnx, file.bytes, "m.onnx", &err), SAL_UNSUPPORTED);
    sal_file_close(&file);
}

/* Both ways of opening take and refuse the same. */
static void walking_agrees_with_openat2(void **state)
{
    (void)state;
    static const struct {
        const char *location;
        bool opens;
    } cases[] = {
        {"w.bin", true},       {"sub/w.bin", true},  {"./w.bin", true},
        {"sub//w.bin", true},  {"sub/./w.bin", true}, {"none", false},
        {"../outside/w.bin", false}, {"/etc/passwd", false}, {"out/w.bin", false},
        {"out.bin", false},    {"w.bin/x", false},   {"..", false},
        {"out/none", false},
    };
    assert_int_equal(symlink("../outside/w.bin", in_home("model/out.bin")), 0);
    assert_int_equal(symlink("../outside", in_home("model/out")), 0);
    int dir = open(in_home("model"), O_PATH | O_DIRECTORY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = 0;
        int a = sal_open_beneath(dir, cases[i].location), reason = errno;
        errno = 0;
        int b = sal_open_beneath_walking(dir, cases[i].location);
        assert_int_equal(a >= 0, cases[i].opens);
        assert_int_equal(b >= 0, cases[i].opens);
        if (!cases[i].opens)
            assert_int_equal(errno, reason);
        if (a >= 0)
            close(a);
        if (b >= 0)
            close(b);
    }
    close(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_tensors_share_one_mapping),
        TEST(data_may_lie_in_a_folder_below),
        TEST(the_folder_is_the_models_whatever_the_current_one),
        TEST(nothing_outside_the_folder_is_read),
        TEST(symbolic_links_are_not_followed),
        TEST(only_regular_files_are_read),
        TEST(offset_and_length_stay_within_the_file),
        TEST(offset_and_length_are_plain_numbers),
        TEST(keys_are_known_and_given_once),
        TEST(a_snapshot_of_links_to_blobs_opens),
        TEST(a_snapshots_link_out_of_its_blobs_is_refused),
        TEST(bytes_without_a_folder_have_no_external_data),
        TEST(walking_agrees_with_openat2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
