"""20 steps of full fine-tuning by PyTorch: test/fixtures/fine-tuning-torch.json.

Reads the batches that test/train/fine-tuning-torch.test.ts writes when BATCHES names a file, so both train on the same tokens.
AdamW as torch has it, decay on matrices only, gradients clipped, warm-up and cosine as in src/train/adamw.ts.
Usage: python scripts/oracles/fine-tuning.py BATCHES.json MODEL_DIRECTORY
"""

import json
import math
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
given = json.load(open(sys.argv[1]))
s = given["settings"]
model = AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.float32, attn_implementation="eager")
matrices = [p for p in model.parameters() if p.dim() > 1]
vectors = [p for p in model.parameters() if p.dim() == 1]
groups = [{"params": matrices, "weight_decay": s["weightDecay"]}, {"params": vectors, "weight_decay": 0}]
optimizer = torch.optim.AdamW(groups, lr=1, betas=(s["beta1"], s["beta2"]), eps=s["eps"])


def loss_of(examples, learn):
    rows = sum(len(e["rows"]) for e in examples)
    total = 0
    for e in examples:
        ids = torch.tensor(e["ids"]).view(max(e["slots"]) + 1, -1)
        logits = model(input_ids=ids).logits.reshape(-1, model.config.vocab_size)[torch.tensor(e["rows"])]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(e["targets"]), reduction="sum") / rows
        if learn:
            loss.backward()
        total += loss.item()
    return total


def rate(step):
    if step <= s["warmup"]:
        return s["learningRate"] * step / s["warmup"]
    progress = min(1, (step - s["warmup"]) / max(1, s["steps"] - s["warmup"]))
    return s["finalLearningRate"] + 0.5 * (s["learningRate"] - s["finalLearningRate"]) * (1 + math.cos(math.pi * progress))


def held_out():
    with torch.no_grad():
        return loss_of(given["evaluation"], False)


result = {"heldOut": [held_out()], "losses": []}
for number, examples in enumerate(given["steps"], 1):
    optimizer.zero_grad()
    result["losses"].append(loss_of(examples, True))
    torch.nn.utils.clip_grad_norm_(model.parameters(), s["clip"])
    for group in optimizer.param_groups:
        group["lr"] = rate(number)
    optimizer.step()
result["heldOut"].append(held_out())
out = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "fine-tuning-torch.json"
out.write_text(json.dumps(result, indent=2) + "\n")
