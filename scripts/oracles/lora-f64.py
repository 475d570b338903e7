"""Losses and gradients of LoRA by PEFT in float64: test/fixtures/adapters/lora-*/golden-f64.safetensors.

The goldens in float32 beside them are exact to 2e-4 of the largest value only, since these bases amplify rounding. transformers computes
rotations, norms and softmax in float32 whatever the model's dtype, so these are replaced here by their formulas in float64.
Needs torch, transformers 5, peft. Usage: python scripts/oracles/lora-f64.py [NAME ...]
"""

import math
import sys
import types
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Mxfp4Config

FIXTURES = Path(__file__).resolve().parents[2] / "test" / "fixtures"


def rotation(config, name):
    """Frequencies and factor in float64."""
    rope, dim = config.rope_parameters, config.head_dim
    plain = [rope["rope_theta"] ** (-2 * i / dim) for i in range(dim // 2)]
    original = rope.get("original_max_position_embeddings")
    if rope["rope_type"] == "llama3":
        def smoothed(f):
            turns = original * f / (2 * math.pi)
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            share = min(1, max(0, (turns - low) / (high - low)))
            return (1 - share) * f / rope["factor"] + share * f
        return [smoothed(f) for f in plain], 1.0
    if rope["rope_type"] == "yarn":
        pair = lambda turns: dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(rope["rope_theta"]))
        low, high = max(pair(rope["beta_fast"]), 0), min(pair(rope["beta_slow"]), dim - 1)
        if rope.get("truncate", True):
            low, high = math.floor(low), math.ceil(high)
        ramp = [min(1, max(0, (i - low) / (high - low))) for i in range(dim // 2)]
        return [(1 - r) * f + r * f / rope["factor"] for f, r in zip(plain, ramp)], 0.1 * math.log(rope["factor"]) + 1
    return plain, 1.0


def in_f64(model, name):
    frequencies, amplitude = rotation(model.config, name)
    frequencies = torch.tensor(frequencies, dtype=torch.float64)

    def rotary(self, x, position_ids):
        angles = position_ids[0].double()[:, None] * frequencies[None]
        both = angles if name == "tiny-gpt-oss" else torch.cat((angles, angles), -1)
        return (both.cos() * amplitude)[None], (both.sin() * amplitude)[None]

    def norm(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    model.model.rotary_emb.forward = types.MethodType(rotary, model.model.rotary_emb)
    for module in model.modules():
        if "RMSNorm" in type(module).__name__:
            module.forward = types.MethodType(norm, module)


softmax = torch.nn.functional.softmax
torch.nn.functional.softmax = lambda x, dim=None, dtype=None, **_: softmax(x, dim=dim)
for name in sys.argv[1:] or ["tiny-llama", "tiny-qwen3", "tiny-gpt-oss"]:
    packed = dict(experts_implementation="eager", quantization_config=Mxfp4Config(dequantize=True)) if name == "tiny-gpt-oss" else {}
    base = FIXTURES / "checkpoints" / name
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager", **packed).to(torch.float64)
    in_f64(model, name)
    folder = FIXTURES / "adapters" / f"lora-{name}"
    model = PeftModel.from_pretrained(model, folder, is_trainable=True).to(torch.float64)
    golden = load_file(folder / "golden.safetensors")
    loss = model(input_ids=golden["ids"].long()[None], labels=golden["labels"].long()[None]).loss
    loss.backward()
    tensors = {"loss": loss.detach().float()[None], "ids": golden["ids"], "labels": golden["labels"]}
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            tensors["grad." + key.replace(".default", "")] = parameter.grad.float().contiguous()
    save_file(tensors, folder / "golden-f64.safetensors")
    print(name, loss.item())
