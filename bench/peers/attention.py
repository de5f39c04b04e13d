"""torch's attention, forward and backward: flash attention in bf16 on a GPU."""

import contextlib

import numpy
import torch
from device import KINDS, device, on_device, seconds_of
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["attention_load", "attention_values", "attention_time"]

state = {}


def attention_load(files, batch, tokens, heads, key_heads, width, causal, dtype):
    """Reads q, k, v and the gradient from files of raw f32 values [B, T, H, D]."""
    shapes = {"q": heads, "k": key_heads, "v": key_heads, "dy": heads}
    state.clear()
    for name, count in shapes.items():
        values = numpy.fromfile(files[name], numpy.float32).reshape(batch, tokens, count, width)
        # The layout that torch's kernels want, with the strides that a model's projections give.
        tensor = on_device(values, KINDS[dtype]).transpose(1, 2)
        state[name] = tensor.requires_grad_(name != "dy")
    flash = dtype == "bf16" and device().type == "cuda"
    state.update(causal=causal, grouped=heads != key_heads, flash=flash)


def forward():
    kernel = sdpa_kernel(SDPBackend.FLASH_ATTENTION) if state["flash"] else contextlib.nullcontext()
    with kernel:
        return torch.nn.functional.scaled_dot_product_attention(
            state["q"],
            state["k"],
            state["v"],
            is_causal=state["causal"],
            enable_gqa=state["grouped"],
        )


def gradients(y):
    inputs = [state[name] for name in "qkv"]
    return torch.autograd.grad(y, inputs, state["dy"], retain_graph=True)


def attention_values(count):
    """The last values of y, dq, dk and dv in the order [B, T, H, D]."""
    y = forward()
    results = dict(zip("yqkv", (y, *gradients(y))))
    return {
        name: value.transpose(1, 2).flatten()[-count:].float().tolist()
        for name, value in results.items()
    }


def attention_time(what, repeats):
    """Seconds of `forward`, without a graph, or of `backward` alone."""
    if what == "forward":
        with torch.inference_mode():
            return seconds_of(repeats, forward)
    y = forward()
    return seconds_of(repeats, lambda: gradients(y))
