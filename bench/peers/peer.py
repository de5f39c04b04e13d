"""Answers requests of the benchmarks, one JSON object per line on stdin and stdout.

A request is {"id", "method", "parameters"}; the reply {"id", "result"} or {"id", "error"}. Timed
functions return the seconds that the work itself took, without the trip through the pipe.
"""

import json
import os
import sys

import adapters
import decoder
import eigen
import lora
import product
import training
import zero_shot

METHODS = {
    name: getattr(module, name)
    for module in (adapters, decoder, eigen, lora, product, training, zero_shot)
    for name in module.__all__
}


def start(threads):
    """Sets the number of threads and returns the versions in use."""
    import platform

    import numpy
    import scipy
    import torch
    import transformers

    torch.set_num_threads(threads)
    return (
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, numpy {numpy.__version__}, "
        f"scipy {scipy.__version__}, {torch.get_num_threads()} threads"
    )


METHODS["start"] = start


def main():
    # Libraries print to stdout now and then: replies keep the real one to themselves.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        reply = {"id": request["id"]}
        try:
            reply["result"] = METHODS[request["method"]](**request["parameters"])
        except Exception as error:  # noqa: BLE001 - the caller gets every message
            reply["error"] = f"{type(error).__name__}: {error}"
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


main()
