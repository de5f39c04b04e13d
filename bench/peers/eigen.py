"""Symmetric eigen-decompositions and singular values in numpy, scipy and torch."""

import time

import numpy
import torch
from device import device, on_device, seconds_of

__all__ = ["eigen_load", "eigen_reflected", "eigen_time", "eigen_conditions"]

state = {}


def eigen_load(path, n):
    """Reads a symmetric matrix from a file of raw f64 values."""
    state["h"] = numpy.fromfile(path, numpy.float64).reshape(n, n)
    state["there"] = on_device(state["h"])


def eigen_reflected(d, u, n):
    """Makes P diag(d) P with P = I - 2uuᵀ on the device, from files of raw f64 values."""
    d, u = (on_device(numpy.fromfile(path, numpy.float64)) for path in (d, u))
    reflection = torch.eye(n, dtype=torch.float64, device=device()) - 2 * torch.outer(u, u)
    state["there"] = (reflection * d) @ reflection


def eigen_time(what):
    """Seconds of one decomposition.

    `numpy`, `scipy` or `torch` eigh with vectors, the last where the peer computes; `svd` singular
    values by numpy.
    """
    if what == "torch":
        return seconds_of(1, lambda: torch.linalg.eigh(state["there"]))
    h = state["h"]
    start = time.perf_counter()
    if what == "numpy":
        numpy.linalg.eigh(h)
    elif what == "scipy":
        import scipy.linalg

        scipy.linalg.eigh(h, driver="evd", check_finite=False)
    else:
        numpy.linalg.svd(h[1:, 1:], compute_uv=False)
    return time.perf_counter() - start


def eigen_conditions(columns, damping):
    """Condition numbers of the damped matrix without row and column j, by singular values."""
    h = state["h"] + damping * numpy.mean(numpy.diag(state["h"])) * numpy.eye(len(state["h"]))
    return [numpy.linalg.cond(numpy.delete(numpy.delete(h, j, 0), j, 1)) for j in columns]
