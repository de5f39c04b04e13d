"""Where the peers compute, and how they are timed there."""

import resource
import time

import torch

state = {"device": torch.device("cpu")}

KINDS = {"f32": torch.float32, "bf16": torch.bfloat16}


def use(name):
    """Chooses `cpu` or `cuda`; products in f32 stay in f32."""
    state["device"] = torch.device(name)
    torch.set_float32_matmul_precision("highest")
    if name != "cpu":
        torch.empty(1, device=name)


def device():
    """The chosen device."""
    return state["device"]


def on_device(values, kind=None):
    """A numpy array as a tensor there."""
    return torch.from_numpy(values).to(device(), kind)


def seconds_of(repeats, body):
    """Mean seconds of `body` repeated in a row: by events on a GPU, by the clock on a CPU."""
    if device().type != "cuda":
        start = time.perf_counter()
        for _ in range(repeats):
            body()
        return (time.perf_counter() - start) / repeats
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(repeats):
        body()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3 / repeats


def peak_bytes():
    """The most memory used: of tensors on a GPU, of the process on a CPU."""
    if device().type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
