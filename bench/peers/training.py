"""LoRA training of language models by PEFT on torch."""

import resource
import time

import torch

__all__ = ["training_load", "training_step"]

state = {}


def training_load(directory, adapter, dtype, lr):
    """Puts an adapter on a frozen model, both from disk, with AdamW over the adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    state.clear()
    base = AutoModelForCausalLM.from_pretrained(directory, dtype=kind)
    model = PeftModel.from_pretrained(base, adapter, is_trainable=True)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.0)
    state.update(model=model, trained=trained, optimizer=optimizer)
    return sum(p.numel() for p in trained)


def training_step(ids):
    """One step on equally long sequences: loss, seconds, and the process's peak memory."""
    batch = torch.tensor(ids)
    start = time.perf_counter()
    loss = state["model"](input_ids=batch, labels=batch, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state["trained"], 1.0)
    state["optimizer"].step()
    state["optimizer"].zero_grad(set_to_none=True)
    value = loss.item()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"loss": value, "seconds": seconds, "peakBytes": peak}
