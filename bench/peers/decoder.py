"""Language models in stock transformers: logits, and perplexity by our convention."""

import math
import time

import numpy
import torch

__all__ = ["decoder_load", "decoder_perplexity", "decoder_logits"]

state = {}


def decoder_load(directory, dtype):
    """Loads a checkpoint; returns the number of parameters."""
    from transformers import AutoModelForCausalLM

    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    state.clear()
    state["model"] = AutoModelForCausalLM.from_pretrained(directory, dtype=kind).eval()
    return sum(p.numel() for p in state["model"].parameters())


def decoder_tokens(directory, text):
    from transformers import AutoTokenizer

    key = (directory, text)
    if state.get("key") != key:
        tokenizer = AutoTokenizer.from_pretrained(directory)
        with open(text, encoding="utf-8", newline="") as file:
            state["ids"] = tokenizer(file.read(), verbose=False)["input_ids"]
        state["key"] = key
    return state["ids"]


@torch.inference_mode()
def decoder_perplexity(window, windows, batch, directory=None, text=None, ids=None):
    """Non-overlapping windows, window - 1 predictions each; tokenizing is not timed."""
    if ids is None:
        ids = decoder_tokens(directory, text)
    count = min(windows, len(ids) // window)
    inputs = torch.tensor(ids[: count * window]).reshape(count, window)
    model, losses = state["model"], []
    start = time.perf_counter()
    for part in inputs.split(batch):
        logits = model(part, use_cache=False).logits[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), part[:, 1:].reshape(-1), reduction="none"
        )
        losses.append(loss.reshape(len(part), -1).double().mean(1))
    nll = torch.cat(losses).mean().item()
    seconds = time.perf_counter() - start
    tokens = count * window
    return {"perplexity": math.exp(nll), "seconds": seconds, "tokens": tokens, "windows": count}


@torch.inference_mode()
def decoder_logits(ids, path):
    """Writes the logits [batch, sequence, vocabulary] of `ids` as raw f32 to a file."""
    logits = state["model"](torch.tensor(ids), use_cache=False).logits.float().contiguous()
    logits.numpy().astype(numpy.float32).tofile(path)
    return list(logits.shape)
