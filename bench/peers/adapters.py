"""Adapters in stock PEFT: does it load them, and what does it merge?"""

import torch

__all__ = ["adapter_compare"]


def largest_gap(got, expected):
    """Largest difference over the largest magnitude."""
    return ((got - expected).abs().max() / expected.abs().max()).item()


@torch.inference_mode()
def adapter_compare(base, adapter, merged, classes, ids):
    """Loads an adapter into its base with PEFT, merges it, and loads the merged directory.

    Returns the adapter's keys that found no place or no value, the differences of logits, and in how
    many elements the merged weights differ.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = AutoModelForSequenceClassification if classes else AutoModelForCausalLM
    options = {"num_labels": classes} if classes else {}
    load = lambda directory: kind.from_pretrained(directory, dtype="auto", **options).eval()  # noqa: E731
    inputs = torch.tensor(ids)
    logits = lambda model: model(inputs).logits.float()  # noqa: E731

    model = PeftModel.from_pretrained(load(base), adapter)
    result = model.load_adapter(adapter, adapter_name="again")
    trained = [name for name in result.missing_keys if ".again." in name]
    adapted = logits(model)
    theirs = model.merge_and_unload(adapter_names=["default"])
    ours = load(merged)
    reference = theirs.state_dict()
    differing = sum(
        int((tensor.to(reference[name].dtype) != reference[name]).sum())
        for name, tensor in ours.state_dict().items()
    )
    expected = logits(theirs)
    return {
        "unplaced": len(result.unexpected_keys) + len(trained),
        "adapted": largest_gap(logits(ours), adapted),
        "merged": largest_gap(logits(ours), expected),
        "differing": differing,
        "elements": sum(tensor.numel() for tensor in reference.values()),
    }
