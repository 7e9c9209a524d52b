"""What is exported: architectures, one a row, and how.

A way is `script` (torch.onnx.export with dynamo=False) or `dynamo`, with the opset,
then a letter where something is different:

    b  the batch axis is dynamic
    h  height and width are dynamic too

Where a way is missing, that exporter refuses the architecture.

Weights are seeded and random (weights.py), so that nothing is downloaded.
"""

BOTH = "script17 dynamo18"

# name: (library, builder, side of the input, ways)
CASES = {
    # torchvision
    "resnet18": ("torchvision", "resnet18", 224, "script17 dynamo18 script11 script17b dynamo18b"),
    "resnet50": ("torchvision", "resnet50", 224, "script17 dynamo18 script9 script13 script16 dynamo20 dynamo23"),
    "densenet121": ("torchvision", "densenet121", 128, "script17 dynamo18 script13 dynamo18b"),
    "mobilenet_v2": ("torchvision", "mobilenet_v2", 224, "script17 dynamo18 script10"),
    "mobilenet_v3_large": ("torchvision", "mobilenet_v3_large", 128, "script17 dynamo18 script13"),
    "efficientnet_b0": ("torchvision", "efficientnet_b0", 224, "script17 dynamo18 script17b"),
    "efficientnet_v2_s": ("torchvision", "efficientnet_v2_s", 224, BOTH),
    "convnext_tiny": ("torchvision", "convnext_tiny", 224, "script17 dynamo18 script13 dynamo20"),
    "vit_b_16": ("torchvision", "vit_b_16", 224, "script17 dynamo18 script14 script17b dynamo18b dynamo23"),
    "swin_t": ("torchvision", "swin_t", 224, "script17 dynamo18 script13 dynamo18b"),
    "swin_v2_t": ("torchvision", "swin_v2_t", 256, BOTH),
    "regnet_y_400mf": ("torchvision", "regnet_y_400mf", 128, BOTH),
    "inception_v3": ("torchvision", "inception_v3", 171, BOTH),
    "googlenet": ("torchvision", "googlenet", 128, BOTH),
    "squeezenet1_1": ("torchvision", "squeezenet1_1", 128, BOTH),
    "shufflenet_v2_x1_0": ("torchvision", "shufflenet_v2_x1_0", 128, BOTH),
    "vgg16": ("torchvision", "vgg16", 224, BOTH),
    "mnasnet1_0": ("torchvision", "mnasnet1_0", 128, BOTH),
    "alexnet": ("torchvision", "alexnet", 224, BOTH),
    "maxvit_t": ("torchvision", "maxvit_t", 224, BOTH),
    # timm
    "resnetv2_50x1_bit": ("timm", "resnetv2_50x1_bit", 224, "script17 dynamo18 dynamo21"),
    "vit_small": ("timm", "vit_small_patch16_224", 224, "script17 dynamo18 dynamo23"),
    "deit_tiny": ("timm", "deit_tiny_patch16_224", 224, "script17 dynamo18 dynamo20"),
    "timm_swin_tiny": ("timm", "swin_tiny_patch4_window7_224", 224, BOTH),
    "convnextv2_atto": ("timm", "convnextv2_atto", 224, BOTH),
    "tf_efficientnet_b0": ("timm", "tf_efficientnet_b0", 224, BOTH + " script17h"),
    "mobilenetv3_large_100": ("timm", "mobilenetv3_large_100", 128, BOTH),
    "mobilenetv4_conv_small": ("timm", "mobilenetv4_conv_small", 128, BOTH),
    "xcit_nano": ("timm", "xcit_nano_12_p16_224", 224, BOTH),
    "edgenext_xx_small": ("timm", "edgenext_xx_small", 224, BOTH),
    "poolformer_s12": ("timm", "poolformer_s12", 224, BOTH),
    "mixer_s32": ("timm", "mixer_s32_224", 224, BOTH),
    "coat_lite_tiny": ("timm", "coat_lite_tiny", 224, BOTH),
    "levit_128s": ("timm", "levit_128s", 224, BOTH),
    "hrnet_w18_small": ("timm", "hrnet_w18_small", 128, BOTH),
    "ghostnet_100": ("timm", "ghostnet_100", 128, BOTH),
    "repvgg_a0": ("timm", "repvgg_a0", 128, BOTH),
    "maxvit_pico": ("timm", "maxvit_rmlp_pico_rw_256", 256, "script17"),
    "eca_nfnet_l0": ("timm", "eca_nfnet_l0", 224, BOTH),
    "mobilevit_xxs": ("timm", "mobilevit_xxs", 256, BOTH),
    "eva02_tiny": ("timm", "eva02_tiny_patch14_224", 224, "dynamo18 dynamo23"),
    "fastvit_t8": ("timm", "fastvit_t8", 256, BOTH),
    "efficientformer_l1": ("timm", "efficientformer_l1", 224, BOTH),
    "crossvit_tiny": ("timm", "crossvit_tiny_240", 240, BOTH),
    "twins_svt_small": ("timm", "twins_svt_small", 224, "script17"),
    "halonet26t": ("timm", "halonet26t", 256, "dynamo18"),
    "lambda_resnet26t": ("timm", "lambda_resnet26t", 128, BOTH),
    "skresnet18": ("timm", "skresnet18", 128, BOTH),
    "resnest14d": ("timm", "resnest14d", 128, BOTH),
    "cait_xxs24": ("timm", "cait_xxs24_224", 224, BOTH),
    "beit_base": ("timm", "beit_base_patch16_224", 224, BOTH),
    "volo_d1": ("timm", "volo_d1_224", 224, "dynamo18"),
    "dla34": ("timm", "dla34", 128, BOTH),
    "darknet53": ("timm", "darknet53", 128, BOTH),
    "convmixer": ("timm", "convmixer_768_32", 112, BOTH),
    "davit_tiny": ("timm", "davit_tiny", 224, BOTH),
    "hiera_tiny": ("timm", "hiera_tiny_224", 224, "script17"),
    # nets.py
    "operating_points": ("nets", "OperatingPoints", 128, BOTH),
    "einsum_attention": ("nets", "EinsumAttention", 96, BOTH + " dynamo20"),
    "resampler": ("nets", "Resampler", 64, BOTH + " script13 dynamo20"),
    # other types and layouts
    "resnet18-float16": ("torchvision", "resnet18", 224, BOTH),
    "resnet18-bfloat16": ("torchvision", "resnet18", 224, BOTH),
    "resnet18-float64": ("torchvision", "resnet18", 224, BOTH),
    "resnet18-nhwc": ("torchvision", "resnet18", 224, BOTH),
    "deit_tiny-float16": ("timm", "deit_tiny_patch16_224", 224, BOTH),
    "convnext_tiny-bfloat16": ("torchvision", "convnext_tiny", 224, BOTH),
    "mobilenet_v2-nhwc": ("torchvision", "mobilenet_v2", 224, BOTH),
}
