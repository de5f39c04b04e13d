"""One PEFT LoRA layer on torch, forward and backward, and its two bare products."""

import numpy
import torch
from device import KINDS, device, on_device, seconds_of

__all__ = ["lora_load", "lora_values", "lora_time", "lora_products_time"]

state = {}


def lora_load(files, tokens, outputs, inputs, rank, alpha, dtype):
    """Makes the layer from files of raw f32 values: x, w, a, b and dy, row-major."""
    from peft.tuners.lora import LoraConfig
    from peft.tuners.lora.layer import Linear

    kind = KINDS[dtype]
    shapes = {
        "x": (tokens, inputs),
        "w": (outputs, inputs),
        "a": (rank, inputs),
        "b": (outputs, rank),
        "dy": (tokens, outputs),
    }
    values = {
        name: on_device(numpy.fromfile(files[name], numpy.float32).reshape(shape), kind)
        for name, shape in shapes.items()
    }
    base = torch.nn.Linear(inputs, outputs, bias=False, dtype=kind, device=device())
    base.weight = torch.nn.Parameter(values["w"], requires_grad=False)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0)
    layer = Linear(base, "default", config=config, r=rank, lora_alpha=alpha)
    layer.lora_A["default"].weight = torch.nn.Parameter(values["a"])
    layer.lora_B["default"].weight = torch.nn.Parameter(values["b"])
    state.clear()
    state.update(values, layer=layer, x=values["x"].requires_grad_(True))


def step():
    layer, x = state["layer"], state["x"]
    for tensor in (x, layer.lora_A["default"].weight, layer.lora_B["default"].weight):
        tensor.grad = None
    y = layer(x)
    y.backward(state["dy"])
    return y


def lora_values(count):
    """The first values of y, dx, dA and dB."""
    y, layer = step(), state["layer"]
    results = {
        "y": y,
        "x": state["x"].grad,
        "a": layer.lora_A["default"].weight.grad,
        "b": layer.lora_B["default"].weight.grad,
    }
    return {name: value.flatten()[:count].float().tolist() for name, value in results.items()}


def lora_time(repeats):
    """Seconds of one forward and backward."""
    return seconds_of(repeats, step)


@torch.inference_mode()
def lora_products_time(repeats):
    """Seconds of x Wᵀ and dy W alone."""
    x, w, dy = state["x"], state["w"], state["dy"]

    def products():
        torch.nn.functional.linear(x, w)
        dy @ w

    return seconds_of(repeats, products)
