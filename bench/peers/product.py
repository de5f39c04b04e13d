"""Dense and gathered products in torch."""

import time

import numpy
import torch

__all__ = ["product_load", "product_values", "product_time"]

state = {}


def product_load(x, w, tokens, outputs, inputs, dtype):
    """Reads the operands from files of raw f32 values, row-major."""
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    state["x"] = torch.from_numpy(numpy.fromfile(x, numpy.float32).reshape(tokens, inputs)).to(kind)
    state["w"] = torch.from_numpy(numpy.fromfile(w, numpy.float32).reshape(outputs, inputs)).to(kind)


def compute(rows=None, columns=None):
    x, w = state["x"], state["w"]
    if rows is not None:
        w = w.index_select(0, rows)
    if columns is not None:
        x, w = x.index_select(1, columns), w.index_select(1, columns)
    y = torch.nn.functional.linear(x, w)
    if rows is None:
        return y
    whole = torch.zeros(x.shape[0], state["w"].shape[0], dtype=y.dtype)
    whole.index_copy_(1, rows, y)
    return whole


def indices(values):
    return None if values is None else torch.tensor(values)


@torch.inference_mode()
def product_values(positions, rows=None, columns=None):
    """The result at [row, column] positions."""
    y = compute(indices(rows), indices(columns))
    return [y[i, j].item() for i, j in positions]


@torch.inference_mode()
def product_time(repeats, rows=None, columns=None):
    """Seconds of one product, gathering included, on average over `repeats`."""
    rows, columns = indices(rows), indices(columns)
    start = time.perf_counter()
    for _ in range(repeats):
        compute(rows, columns)
    return (time.perf_counter() - start) / repeats
