"""Multiple-choice tasks in stock transformers, every choice with its whole context.

Prompts, clean-up, tokenization and truncation follow lm-evaluation-harness 0.4.13.
"""

import json
import re
import time

import torch

__all__ = ["zero_shot_load", "zero_shot_score"]

state = {}


def zero_shot_load(directory):
    """Loads a checkpoint in f32 with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    state["model"] = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    state["tokenizer"] = AutoTokenizer.from_pretrained(directory)


def arc(row, _):
    question, choices = row["question"]["stem"], row["question"]["choices"]
    gold = [choice["label"] for choice in choices].index(row["answerKey"])
    return f"Question: {question}\nAnswer:", [choice["text"] for choice in choices], gold


def piqa(row, label):
    return f"Question: {row['goal']}\nAnswer:", [row["sol1"], row["sol2"]], int(label)


def boolq(row, _):
    gold = row["label"] in (True, "true")
    return f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:", ["no", "yes"], int(gold)


def hellaswag(row, _):
    def clean(text):
        text = text.strip().replace(" [title]", ". ")
        return re.sub("\\[.*?\\]", "", text).replace("  ", " ")

    context = row["ctx_a"] + " " + row["ctx_b"].capitalize()
    endings = [clean(ending) for ending in row["endings"]]
    return clean(row["activity_label"] + ": " + context), endings, int(row["label"])


TASKS = {"arc_easy": arc, "arc_challenge": arc, "piqa": piqa, "boolq": boolq, "hellaswag": hellaswag}


def pairs(task, row, label):
    """Context and continuation of every choice, the choices, and the right one."""
    if task == "winogrande":
        before, after = row["sentence"].split("_", 1)
        choices = [before + row[name] for name in ("option1", "option2")]
        rest = " " + after.strip()
        return [(choice, rest) for choice in choices], choices, int(row["answer"]) - 1
    context, choices, gold = TASKS[task](row, label)
    return [(context, " " + choice) for choice in choices], choices, gold


def encode(context, continuation, positions):
    """Tokens that go in, and those of the continuation."""
    tokenizer = state["tokenizer"]
    spaces = len(context) - len(context.rstrip())
    if spaces > 0:
        continuation, context = context[-spaces:] + continuation, context[:-spaces]
    whole = tokenizer.encode(context + continuation)
    before = tokenizer.encode(context)
    targets = whole[len(before) :]
    return (before + targets)[-(positions + 1) :][:-1], targets


@torch.inference_mode()
def zero_shot_score(task, data, labels, limit, batch):
    """Log-likelihoods of every choice, gold answers, choices, and the seconds it took."""
    model = state["model"]
    positions = model.config.max_position_embeddings
    start = time.perf_counter()
    with open(data, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()][:limit]
    given = [None] * len(rows)
    if labels is not None:
        with open(labels, encoding="utf-8") as file:
            given = file.read().split()
    questions = [pairs(task, row, label) for row, label in zip(rows, given)]
    requests = [
        (q, c, *encode(*pair, positions))
        for q, (choices, _, _) in enumerate(questions)
        for c, pair in enumerate(choices)
    ]
    requests.sort(key=lambda request: -len(request[2]))
    results = [[0.0] * len(choices) for choices, _, _ in questions]
    for first in range(0, len(requests), batch):
        part = requests[first : first + batch]
        longest = len(part[0][2])
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for _, _, ids, _ in part])
        logits = model(ids, use_cache=False).logits.float()
        for row, (q, c, ids, targets) in enumerate(part):
            scored = logits[row, len(ids) - len(targets) : len(ids)].log_softmax(-1)
            chosen = scored.gather(1, torch.tensor(targets).unsqueeze(1))
            results[q][c] = chosen.double().sum().item()
    seconds = time.perf_counter() - start
    return {
        "logLikelihoods": results,
        "gold": [gold for _, _, gold in questions],
        "choices": [choices for _, choices, _ in questions],
        "seconds": seconds,
    }
