"""Symmetric eigen-decompositions and singular values in numpy and scipy."""

import time

import numpy
import scipy.linalg

__all__ = ["eigen_load", "eigen_time", "eigen_conditions"]

state = {}


def eigen_load(path, n):
    """Reads a symmetric matrix from a file of raw f64 values."""
    state["h"] = numpy.fromfile(path, numpy.float64).reshape(n, n)


def eigen_time(what):
    """Seconds of one decomposition: `numpy` or `scipy` eigh with vectors, `svd` singular values."""
    h = state["h"]
    start = time.perf_counter()
    if what == "numpy":
        numpy.linalg.eigh(h)
    elif what == "scipy":
        scipy.linalg.eigh(h, driver="evd", check_finite=False)
    else:
        numpy.linalg.svd(h[1:, 1:], compute_uv=False)
    return time.perf_counter() - start


def eigen_conditions(columns, damping):
    """Condition numbers of the damped matrix without row and column j, by singular values."""
    h = state["h"] + damping * numpy.mean(numpy.diag(state["h"])) * numpy.eye(len(state["h"]))
    return [numpy.linalg.cond(numpy.delete(numpy.delete(h, j, 0), j, 1)) for j in columns]
