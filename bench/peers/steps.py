"""Steps of a training that read and write much and compute little."""

import torch
from device import device, seconds_of

__all__ = ["steps_load", "steps_time"]

state = {}


def steps_load(rows, width, classes, parameters, tensors, seed=0):
    """Makes normal numbers of these sizes."""
    make = torch.Generator(device()).manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, device=device(), generator=make)  # noqa: E731
    state.clear()
    state["x"] = normal(rows, width).requires_grad_(True)
    state["weight"] = torch.ones(width, device=device())
    state["dy"] = normal(rows, width)
    count = max(1, rows * width // classes)
    state["logits"] = normal(count, classes).requires_grad_(True)
    state["labels"] = torch.randint(classes, (count,), device=device(), generator=make)
    trained = [torch.nn.Parameter(normal(parameters // tensors)) for _ in range(tensors)]
    for parameter in trained:
        parameter.grad = torch.ones_like(parameter)
    fused = device().type == "cuda"
    state["adamw"] = torch.optim.AdamW(trained, lr=1e-4, fused=fused)


def norm():
    return torch.nn.functional.rms_norm(state["x"], state["weight"].shape, state["weight"], 1e-6)


def norm_backward(y):
    return torch.autograd.grad(y, [state["x"]], state["dy"], retain_graph=True)


def loss():
    value = torch.nn.functional.cross_entropy(state["logits"], state["labels"])
    return torch.autograd.grad(value, [state["logits"]])


def steps_time(what, repeats):
    """Seconds of one of: rmsNorm, rmsNorm backward, cross-entropy with its gradient, adamW."""
    if what == "rmsNorm":
        with torch.inference_mode():
            return seconds_of(repeats, norm)
    if what == "rmsNorm backward":
        y = norm()
        return seconds_of(repeats, lambda: norm_backward(y))
    if what == "softmaxCrossEntropy":
        return seconds_of(repeats, loss)
    return seconds_of(repeats, state["adamw"].step)
