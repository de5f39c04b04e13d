"""LoRA training of language models and classifiers by PEFT on torch."""

import time

import torch
from device import KINDS, device, peak_bytes

__all__ = ["training_load", "training_predict", "training_step"]

state = {}


def training_load(directory, adapter, dtype, lr, classes=None):
    """Puts an adapter on a frozen model, both from disk, with AdamW over the adapter.

    With `classes` the model scores so many classes; its head comes out of the adapter.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = KINDS[dtype]
    state.clear()
    if classes is None:
        base = AutoModelForCausalLM.from_pretrained(directory, dtype=kind)
        more = {"use_cache": False}
    else:
        base = AutoModelForSequenceClassification.from_pretrained(
            directory, dtype=kind, num_labels=classes
        )
        more = {}
    model = PeftModel.from_pretrained(base.to(device()), adapter, is_trainable=True)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.0)
    state.update(model=model, trained=trained, optimizer=optimizer, more=more)
    return sum(p.numel() for p in trained)


def training_step(ids, mask=None, labels=None, lr=None):
    """One step on equally long sequences: loss, seconds, and the peak of memory so far.

    `mask` hides padding, `labels` default to the tokens themselves, `lr` changes the learning rate.
    """
    batch = torch.tensor(ids)
    inputs = {"input_ids": batch, "labels": batch if labels is None else torch.tensor(labels)}
    if mask is not None:
        inputs["attention_mask"] = torch.tensor(mask)
    start = time.perf_counter()
    inputs = {name: value.to(device()) for name, value in inputs.items()}
    if lr is not None:
        for group in state["optimizer"].param_groups:
            group["lr"] = lr
    loss = state["model"](**inputs, **state["more"]).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state["trained"], 1.0)
    state["optimizer"].step()
    state["optimizer"].zero_grad(set_to_none=True)
    value = loss.item()
    seconds = time.perf_counter() - start
    return {"loss": value, "seconds": seconds, "peakBytes": peak_bytes()}


@torch.inference_mode()
def training_predict(ids, mask):
    """The class with the highest score for each sequence."""
    model = state["model"].eval()
    ids, mask = (torch.tensor(rows, device=device()) for rows in (ids, mask))
    logits = model(input_ids=ids, attention_mask=mask).logits
    model.train()
    return logits.argmax(-1).tolist()
