#include "saliscope/sidecar.h"

#define UNKNOWN \
    .source = {"default", "default", "default", "default", \
               "default", "default", "default", "default"}

const struct sal_preset sal_presets[] = {
    {.name = "imagenet",
     .title = "torchvision and timm: RGB 0..1, ImageNet mean and std, antialiased bilinear",
     .input = {.channels = SAL_RGB, .resize = SAL_BILINEAR, .antialias = true,
               .round = true, .fit = SAL_CROP, .range = {0, 1},
               .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225, 1}, UNKNOWN}},
    {.name = "torchxrayvision",
     .title = "TorchXRayVision: grey, -1024..1024",
     .input = {.channels = SAL_GRAY, .resize = SAL_BILINEAR, .round = false,
               .fit = SAL_CROP, .range = {-1024, 1024}, .std = {1, 1, 1, 1}, UNKNOWN}},
    {.name = "unit",
     .title = "RGB 0..1, no mean, no std",
     .input = {.channels = SAL_RGB, .resize = SAL_BILINEAR, .round = true,
               .range = {0, 1}, .std = {1, 1, 1, 1}, UNKNOWN}},
    {.name = "caffe",
     .title = "Caffe: BGR 0..255, mean 104 117 123",
     .input = {.channels = SAL_BGR, .resize = SAL_BILINEAR, .round = true,
               .range = {0, 255}, .mean = {104, 117, 123}, .std = {1, 1, 1, 1}, UNKNOWN}},
    {.name = "inception",
     .title = "TensorFlow and Inception: RGB -1..1",
     .input = {.channels = SAL_RGB, .resize = SAL_BILINEAR, .round = true,
               .range = {-1, 1}, .std = {1, 1, 1, 1}, UNKNOWN}},
    {0},
};
