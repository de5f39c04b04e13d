"""Dense and gathered products in torch, and how fast the device copies and multiplies."""

import numpy
import torch
from device import KINDS, device, on_device, seconds_of

__all__ = ["product_load", "product_values", "product_time", "rate_copy", "rate_product"]

state = {}


def product_load(x, w, tokens, outputs, inputs, dtype):
    """Reads the operands from files of raw f32 values, row-major."""
    kind = KINDS[dtype]
    state["x"] = on_device(numpy.fromfile(x, numpy.float32).reshape(tokens, inputs), kind)
    state["w"] = on_device(numpy.fromfile(w, numpy.float32).reshape(outputs, inputs), kind)


def compute(rows=None, columns=None):
    x, w = state["x"], state["w"]
    if rows is not None:
        w = w.index_select(0, rows)
    if columns is not None:
        x, w = x.index_select(1, columns), w.index_select(1, columns)
    y = torch.nn.functional.linear(x, w)
    if rows is None:
        return y
    whole = torch.zeros(x.shape[0], state["w"].shape[0], dtype=y.dtype, device=device())
    whole.index_copy_(1, rows, y)
    return whole


def indices(values):
    return None if values is None else torch.tensor(values, device=device())


@torch.inference_mode()
def product_values(positions, rows=None, columns=None):
    """The result at [row, column] positions."""
    y = compute(indices(rows), indices(columns)).cpu()
    return [y[i, j].item() for i, j in positions]


@torch.inference_mode()
def product_time(repeats, rows=None, columns=None):
    """Seconds of one product, gathering included, on average over `repeats`."""
    rows, columns = indices(rows), indices(columns)
    return seconds_of(repeats, lambda: compute(rows, columns))


@torch.inference_mode()
def rate_copy(bytes, repeats):
    """Seconds of copying so many bytes on the device."""
    source = torch.ones(bytes // 4, device=device())
    target = torch.empty_like(source)
    target.copy_(source)
    return seconds_of(repeats, lambda: target.copy_(source))


@torch.inference_mode()
def rate_product(side, dtype, repeats):
    """Seconds of one product of square matrices of normal numbers."""
    a, b = (torch.randn(side, side, device=device()).to(KINDS[dtype]) for _ in range(2))
    torch.matmul(a, b)
    return seconds_of(repeats, lambda: torch.matmul(a, b))
