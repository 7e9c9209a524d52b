#!/usr/bin/env python3
"""Writes attention_data.h: what onnx's reference evaluator answers to small cases.

    python3 tests/recorded/attention.py >tests/recorded/attention_data.h

Needs the packages onnx (1.23 was used) and numpy. Inputs are not recorded: value i of
input j is ((37 i + 101 j + 17) mod 64 - 32) / 16 here and in tests/test_attention.c.
"""
import textwrap

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.reference import ReferenceEvaluator

# operator, opset, attributes, output looked at, inputs as tests/gradient/sentence.h says
CASES = [
    ("Attention", 23, {}, 0, ["2x2x3x4", "2x2x5x4", "2x2x5x3"]),
    ("Attention", 23, {"scale": 0.25}, 0, ["1x4x2x2", "1x2x3x2", "1x2x3x2"]),
    ("Attention", 23, {"q_num_heads": 4, "kv_num_heads": 1}, 0, ["1x3x8", "1x2x2", "1x2x3"]),
    ("Attention", 23, {"q_num_heads": 2, "kv_num_heads": 2}, 0, ["2x2x4", "2x3x4", "2x3x2"]),
    ("Attention", 23, {"is_causal": 1}, 0, ["1x2x4x2", "1x2x4x2", "1x2x4x2"]),
    ("Attention", 23, {"is_causal": 1}, 0, ["1x1x3x2", "1x1x5x2", "1x1x5x2"]),
    ("Attention", 23, {}, 0, ["1x2x3x2", "1x2x4x2", "1x2x4x2", "3x4"]),
    ("Attention", 23, {}, 0, ["2x2x2x2", "2x2x2x2", "2x2x2x2", "2x1x1x2"]),
    ("Attention", 23, {}, 0,
     ["1x1x3x2", "1x1x4x2", "1x1x4x2", "3x4b[1,0,1,1,0,0,0,0,1,1,0,1]"]),
    ("Attention", 23, {"is_causal": 1}, 0,
     ["1x1x3x2", "1x1x3x2", "1x1x3x2", "3x3b[0,1,1,1,0,1,1,1,0]"]),
    ("Attention", 23, {"softcap": 0.75}, 0, ["1x1x3x2", "1x1x4x2", "1x1x4x2", "3x4"]),
    ("Attention", 23, {"qk_matmul_output_mode": 0}, 3, ["1x2x2x2", "1x1x3x2", "1x1x3x2", "2x3"]),
    ("Attention", 23, {"qk_matmul_output_mode": 1, "softcap": 0.75}, 3,
     ["1x2x2x2", "1x1x3x2", "1x1x3x2", "2x3"]),
    ("Attention", 23, {"qk_matmul_output_mode": 2, "softcap": 0.75}, 3,
     ["1x2x2x2", "1x1x3x2", "1x1x3x2", "2x3"]),
    ("Attention", 23, {"qk_matmul_output_mode": 3, "is_causal": 1}, 3,
     ["1x1x3x2", "1x1x3x2", "1x1x3x2"]),
    ("Attention", 23, {"is_causal": 1}, 0,
     ["1x2x2x2", "1x2x2x2", "1x2x2x3", "", "1x2x3x2", "1x2x3x3"]),
    ("Attention", 23, {"q_num_heads": 4, "kv_num_heads": 2}, 1,
     ["1x2x8", "1x2x4", "1x2x6", "", "1x2x1x2", "1x2x1x3"]),
    ("Attention", 23, {"q_num_heads": 4, "kv_num_heads": 2}, 2,
     ["1x2x8", "1x2x4", "1x2x6", "", "1x2x1x2", "1x2x1x3"]),
    ("Attention", 24, {}, 0, ["1x1x2x2", "1x1x5x2", "1x1x5x2", "2x3"]),
    ("Attention", 24, {}, 0, ["2x1x2x2", "2x1x4x2", "2x1x4x2", "", "", "", "[2,3]"]),
    ("Attention", 24, {"is_causal": 1}, 0,
     ["3x1x3x2", "3x1x4x2", "3x1x4x2", "", "", "", "[2,3,4]"]),
    # more queries than are worked on at a time
    ("Attention", 23, {"is_causal": 1}, 0, ["1x1x70x1", "1x1x70x1", "1x1x70x1"]),
    ("Attention", 23, {"qk_matmul_output_mode": 2}, 3,
     ["1x1x70x1", "1x1x1x1", "1x1x1x1", "70x1"]),
    ("Attention", 25, {"left_window_size": 1}, 0, ["1x1x4x2", "1x1x4x2", "1x1x4x2"]),
    ("Attention", 25, {"left_window_size": 2, "right_window_size": 1}, 0,
     ["1x1x4x2", "1x1x6x2", "1x1x6x2"]),
    ("Attention", 25, {"left_window_size": 1, "right_window_size": 0}, 0,
     ["1x1x2x2", "1x1x2x2", "1x1x2x2", "", "1x1x3x2", "1x1x3x2"]),
    ("RotaryEmbedding", 23, {}, 0, ["1x2x3x4", "1x3x2", "1x3x2"]),
    ("RotaryEmbedding", 23, {"interleaved": 1}, 0, ["1x2x3x4", "1x3x2", "1x3x2"]),
    ("RotaryEmbedding", 23, {"num_heads": 2}, 0, ["2x2x8", "5x2", "5x2", "2x2[4,0,2,2]"]),
    ("RotaryEmbedding", 23, {"num_heads": 2, "rotary_embedding_dim": 2}, 0,
     ["1x3x8", "4x1", "4x1", "1x3[3,0,1]"]),
    ("RotaryEmbedding", 23, {"rotary_embedding_dim": 4, "interleaved": 1}, 0,
     ["1x2x2x6", "3x2", "3x2", "1x2[2,1]"]),
]


def value(words, j):
    dims, _, rest = words.partition("[")
    if rest:
        values = [int(v) for v in rest.rstrip("]").split(",")]
        kind = np.bool_ if dims.endswith("b") else np.int64
        shape = [int(d) for d in dims.rstrip("b").split("x")] if dims else [len(values)]
        return np.array(values).astype(kind).reshape(shape)
    shape = [int(d) for d in words.split("x")]
    i = np.arange(np.prod(shape), dtype=np.int64)
    return (((37 * i + 101 * j + 17) % 64 - 32) / 16).astype(np.float32).reshape(shape)


def answer(op, opset, attributes, output, words):
    names = ["abcdefgh"[j] if w else "" for j, w in enumerate(words)]
    feed = {n: value(w, j) for j, (n, w) in enumerate(zip(names, words)) if w}
    outputs = ["o%d" % i for i in range(output + 1)]
    kinds = {np.float32: T.FLOAT, np.int64: T.INT64, np.bool_: T.BOOL}
    graph = make_graph(
        [make_node(op, names, outputs, **attributes)], "g",
        [make_tensor_value_info(n, kinds[v.dtype.type], v.shape) for n, v in feed.items()],
        [make_tensor_value_info(outputs[-1], T.FLOAT, None)])
    model = make_model(graph, opset_imports=[make_opsetid("", opset)])
    return ReferenceEvaluator(model).run(None, feed)[0]


def word(v):
    return "-INFINITY" if np.isneginf(v) else "%.9g" % v


def main():
    print("/* Written by tests/recorded/attention.py with onnx %s; do not edit. */"
          % onnx.__version__)
    print("static const struct recorded recorded[] = {")
    for op, opset, attributes, output, words in CASES:
        y = answer(op, opset, attributes, output, words)
        said = " ".join("%s=%s" % (k, v) for k, v in attributes.items())
        head = '{{"%s", %d, {%s},\n      %s, 0, 0, "%sy"},' % (
            op, opset, ", ".join('"%s"' % w for w in words),
            '"%s"' % said if said else "NULL",
            "".join("%s," % "uvw"[i] for i in range(output)))
        values = ", ".join(word(v) for v in y.ravel())
        print("    " + head)
        print(textwrap.fill("%d, {%s}}," % (y.size, values), 96, initial_indent="     ",
                            subsequent_indent="     "))
    print("};")


main()
