"""Writes test/fixtures/adapters/*: adapters of our own on the tiny checkpoints, saved by PEFT, with the logits of transformers.
Development only; the tests read the result.
    pip install torch==2.13.0 transformers peft==0.21.2 safetensors
    python scripts/oracles/adapters.py
"""
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

FIXTURES = Path(__file__).parents[2] / "test/fixtures"

# Name of the adapter: base and what LoraConfig is given.
ADAPTERS = {
    "fused": ("tiny-gpt2", dict(r=3, lora_alpha=7, target_modules=["c_attn", "c_proj", "c_fc", "lm_head", "wte"], fan_in_fan_out=False)),
    "patterns": ("tiny-llama", dict(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj", "up_proj"],
        rank_pattern={"v_proj": 1, "layers.2.mlp.down_proj": 6, r"layers\.[13]\.self_attn\.q_proj": 5},
        alpha_pattern={"q_proj": 3, "layers.0.mlp.up_proj": 0.5},
    )),
    "some-layers": ("tiny-qwen2", dict(r=2, lora_alpha=32, target_modules=["q_proj", "k_proj", "o_proj"], layers_to_transform=[1, 2], bias="lora_only")),
    "embedding-head": ("tiny-gemma3", dict(r=4, lora_alpha=2, use_rslora=True, target_modules=["embed_tokens", "o_proj"])),
    "whole": ("tiny-llama", dict(r=2, lora_alpha=4, target_modules=["k_proj"], modules_to_save=["lm_head", "embed_tokens", "input_layernorm"])),
    "experts": ("tiny-qwen3-moe", dict(r=3, lora_alpha=6, target_modules=["q_proj"], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"])),
    "one-parameter": ("tiny-gpt-oss", dict(r=2, lora_alpha=2, target_modules=["o_proj"], target_parameters=["mlp.experts.down_proj", "mlp.router.weight"])),
}


def randomize(model):
    """The values of PEFT's start change nothing: b is zero, whole modules are copies."""
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter += 0.05 * torch.randn_like(parameter)


for name, (base, given) in ADAPTERS.items():
    out = FIXTURES / "adapters" / name
    shutil.rmtree(out, ignore_errors=True)
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / "checkpoints" / base, dtype=torch.float32, attn_implementation="eager")
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **given))
    randomize(adapted)
    adapted.eval()
    ids = torch.tensor([[(7 * i * i + 3 * i + 5) % 500 for i in range(19)]])
    with torch.no_grad():
        logits = adapted(ids).logits[0].contiguous()
    adapted.save_pretrained(out, save_embedding_layers=False)
    (out / "README.md").unlink()
    config = json.loads((out / "adapter_config.json").read_text())
    (out / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": base}, indent=2) + "\n")
    save_file({"ids": ids[0].to(torch.int32), "logits": logits}, out / "golden.safetensors")
    print(name, sum(file.stat().st_size for file in out.iterdir()))
