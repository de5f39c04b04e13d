"""Answers requests of the benchmarks, one JSON object per line on stdin and stdout.

A request is {"id", "method", "parameters"}; the reply {"id", "result"} or {"id", "error"}. Timed
functions return the seconds that the work itself took, without the trip through the pipe.
"""

import importlib
import importlib.metadata
import json
import os
import sys

METHODS = {}
# Modules whose packages are not installed, and what is missing.
MISSING = {}
for name in "adapters attention decoder eigen lora product steps training zero_shot".split():
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        MISSING[name] = str(error)
    else:
        METHODS.update({method: getattr(module, method) for method in module.__all__})


def start(threads, device="cpu"):
    """Sets the number of threads and the device, and returns the versions in use."""
    import platform

    import torch
    from device import use

    torch.set_num_threads(threads)
    use(device)
    parts = [f"Python {platform.python_version()}"]
    for package in ("torch", "transformers", "peft", "numpy", "scipy"):
        try:
            parts.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            parts.append(f"no {package}")
    if device != "cpu":
        parts.append(f"on {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    return ", ".join([*parts, f"{torch.get_num_threads()} threads"])


METHODS["start"] = start


def main():
    # Libraries print to stdout now and then: replies keep the real one to themselves.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        reply = {"id": request["id"]}
        try:
            method = METHODS.get(request["method"])
            if method is None:
                raise LookupError(f"no method {request['method']}; not imported: {MISSING}")
            reply["result"] = method(**request["parameters"])
        except Exception as error:  # noqa: BLE001 - the caller gets every message
            reply["error"] = f"{type(error).__name__}: {error}"
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


main()
