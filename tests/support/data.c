#include "data.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

bool shared_data(const char *relative, char *path, size_t capacity)
{
    const char *root = getenv("SHARED_DATA");
    int size = root ? snprintf(path, capacity, "%s/%s", root, relative) : -1;
    if (size > 0 && (size_t)size < capacity && access(path, R_OK) == 0)
        return true;
    printf("skip: %s is not there\n", relative);
    return false;
}

void each_model(void (*work)(const char *path))
{
    static const char *const others[] = {
        "SqueezeNet_fp16",        "cifar10_ImageClassifier", "edgepneumonet_logit",
        "mnist_cntk",             "mnist_dianna",            "mobilenet_v2_1.0_224",
        "squeezenet1_0_deepcomp", "squeezenet1_1_fp32",      "tm_cxr3"};
    glob_t samples;
    assert_int_equal(glob("samples/models/*.onnx", 0, NULL, &samples), 0);
    for (size_t i = 0; i < samples.gl_pathc; i++)
        work(samples.gl_pathv[i]);
    globfree(&samples);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        char relative[256], path[512];
        snprintf(relative, sizeof(relative), "models/%s.onnx", others[i]);
        if (shared_data(relative, path, sizeof(path)))
            work(path);
    }
}
