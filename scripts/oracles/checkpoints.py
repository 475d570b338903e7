"""Makes tiny checkpoints with random weights and golden values by transformers (float32, eager attention), and the config.json files that
transformers 5 writes for all fixtures. Development only; the tests read the result.
    pip install torch==2.13.0 transformers==5.24.0
    python scripts/oracles/checkpoints.py OUT [NAME ...]       # tiny checkpoints; tiny-* are in test/fixtures/checkpoints, phi3-long in test/fixtures/longrope, v2-*, v3-* and moe-* in test/fixtures/deepseek
    python scripts/oracles/checkpoints.py --configs            # writes test/fixtures/configs-transformers-5.json
"""
import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

CHECKPOINTS = Path(__file__).parents[2] / "test/fixtures/checkpoints"
# Marks of the pictures: beyond the ids of the prompts.
IMAGES = {"image_token_index": 505, "image_token_id": 505, "video_token_id": 506, "vision_start_token_id": 507, "vision_end_token_id": 508}

common = {
    "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.02,
    "intermediate_size": 160, "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 512,
}
vision = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1, "head_dim": 16, "image_size": 28, "patch_size": 14}
mistral = {**common, "model_type": "mistral", "head_dim": 32, "sliding_window": None}
qwen3_vl = {
    **common, "model_type": "qwen3_vl_text", "head_dim": 32, "attention_bias": False, "rms_norm_eps": 1e-6, "rope_theta": 5000000,
    "rope_scaling": {"mrope_interleaved": True, "mrope_section": [8, 4, 4], "rope_type": "default"},
}
no_bos = {key: value for key, value in common.items() if key not in ("bos_token_id", "tie_word_embeddings", "torch_dtype")}
phi = {**common, "model_type": "phi3", "attention_bias": False, "pad_token_id": 0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "rope_theta": 10000.0}
longrope = {"type": "longrope", "short_factor": [1.0, 1.02, 1.04, 1.06, 1.08, 1.1], "long_factor": [1.0, 1.5, 3.0, 8.0, 20.0, 40.0]}
granite = {
    **common, "model_type": "granite", "attention_bias": False, "mlp_bias": False, "embedding_multiplier": 12.0, "attention_multiplier": 0.0625,
    "residual_multiplier": 0.22, "logits_scaling": 8.0,
}
smollm3 = {**common, "model_type": "smollm3", "pad_token_id": 0, "attention_bias": False, "mlp_bias": False, "no_rope_layer_interval": 4}
olmo3 = {
    **common, "model_type": "olmo3", "rope_theta": 500000.0, "attention_bias": False, "num_hidden_layers": 4, "sliding_window": 12,
    "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "beta_fast": 32, "beta_slow": 1, "original_max_position_embeddings": 8192, "attention_factor": 1.2079441541679836},
}

jamba = {
    "model_type": "jamba", "attention_dropout": 0.0, "attn_layer_offset": 1, "attn_layer_period": 3, "bos_token_id": 1, "eos_token_id": 2, "expert_layer_offset": 1,
    "expert_layer_period": 2, "hidden_act": "silu", "hidden_size": 48, "initializer_range": 0.02, "intermediate_size": 80, "mamba_conv_bias": True, "mamba_d_conv": 4,
    "mamba_d_state": 16, "mamba_dt_rank": 6, "mamba_expand": 2, "mamba_proj_bias": False, "max_position_embeddings": 32768, "num_attention_heads": 4, "num_experts": 4,
    "num_experts_per_tok": 2, "num_hidden_layers": 5, "num_key_value_heads": 2, "pad_token_id": 0, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "use_cache": True, "use_mamba_kernels": False, "vocab_size": 512,
}
deepseek_v3 = {
    **common, "model_type": "deepseek_v3", "hidden_size": 40, "intermediate_size": 52, "num_key_value_heads": 4, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "attention_bias": False, "kv_lora_rank": 24, "q_lora_rank": 20, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 10, "first_k_dense_replace": 1,
    "moe_intermediate_size": 20, "moe_layer_freq": 1, "n_group": 4, "topk_group": 2, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3,
    "norm_topk_prob": True, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "num_nextn_predict_layers": 0, "vocab_size": 128,
    "rope_scaling": None,
}
deepseek_v2 = {
    **{key: value for key, value in deepseek_v3.items() if key != "num_nextn_predict_layers"}, "model_type": "deepseek_v2", "norm_topk_prob": False,
    "routed_scaling_factor": 16.0, "scoring_func": "softmax", "topk_method": "group_limited_greedy", "n_shared_experts": 2, "aux_loss_alpha": 0.001,
}
# A head of plain attention has the size of the hidden state over the heads; the rotation pairs halves.
deepseek = {
    **{key: value for key, value in deepseek_v2.items() if not key.startswith(("kv_lora", "q_lora", "qk_", "v_head", "topk_", "n_group", "routed_sc"))},
    "model_type": "deepseek", "hidden_size": 48, "num_attention_heads": 4,
}
yarn40 = lambda mscale, all_dim: {"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "original_max_position_embeddings": 64, "mscale": mscale, "mscale_all_dim": all_dim}

mamba = {
    "model_type": "mamba", "bos_token_id": 0, "conv_kernel": 4, "eos_token_id": 0, "expand": 2, "hidden_act": "silu", "hidden_size": 48, "initializer_range": 0.1,
    "intermediate_size": 96, "layer_norm_epsilon": 1e-5, "num_hidden_layers": 4, "pad_token_id": 0, "residual_in_fp32": True, "state_size": 16, "time_step_rank": 3,
    "torch_dtype": "float32", "use_bias": False, "use_cache": True, "use_conv_bias": True, "vocab_size": 512,
}

# name -> (class, config.json as it is published)
CASES = {
    "tiny-mistral3": ("Mistral3ForConditionalGeneration", {
        "model_type": "mistral3", "image_token_index": 505, "spatial_merge_size": 2, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "text_config": mistral, "vision_config": {**vision, "model_type": "pixtral"},
    }),
    "tiny-qwen3-vl": ("Qwen3VLForConditionalGeneration", {
        "model_type": "qwen3_vl", "image_token_id": 505, "video_token_id": 506, "vision_start_token_id": 507, "vision_end_token_id": 508,
        "tie_word_embeddings": True, "text_config": {**qwen3_vl, "tie_word_embeddings": True},
        "vision_config": {"model_type": "qwen3_vl", "depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64,
                          "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]},
    }),
    "tiny-deepseek-moe": ("DeepseekForCausalLM", {**deepseek, "vocab_size": 512}),
    "tiny-kimi-k2": ("DeepseekV3ForCausalLM", {**deepseek_v3, "model_type": "kimi_k2", "vocab_size": 512, "n_group": 1, "topk_group": 1, "rope_theta": 50000.0, "routed_scaling_factor": 2.827,
        "rope_scaling": {**yarn40(1.0, 1.0), "factor": 32.0, "beta_fast": 1.0, "beta_slow": 1.0}, "num_attention_heads": 3, "num_key_value_heads": 3}),
    # test/fixtures/deepseek
    "v2-grouped": ("DeepseekV2ForCausalLM", {**deepseek_v2, "num_hidden_layers": 2, "rope_scaling": yarn40(0.9, 0.6)}),
    "v2-one-group-of-many": ("DeepseekV2ForCausalLM", {**deepseek_v2, "num_hidden_layers": 2, "n_group": 2, "topk_group": 1, "q_lora_rank": None, "attention_bias": True, "mlp_bias": True}),
    "v2-greedy-scaled": ("DeepseekV2ForCausalLM", {**deepseek_v2, "num_hidden_layers": 2, "topk_method": "greedy", "routed_scaling_factor": 0.7, "first_k_dense_replace": 0, "tie_word_embeddings": True, "rope_scaling": yarn40(1.0, 0)}),
    "v3-plain-rope": ("DeepseekV3ForCausalLM", {**deepseek_v3, "num_hidden_layers": 2, "attention_bias": True, "tie_word_embeddings": True}),
    "v3-no-query-rank": ("DeepseekV3ForCausalLM", {**deepseek_v3, "num_hidden_layers": 2, "q_lora_rank": None, "num_attention_heads": 5, "num_key_value_heads": 5, "qk_nope_head_dim": 7, "qk_rope_head_dim": 6, "v_head_dim": 9, "kv_lora_rank": 13, "moe_intermediate_size": 11, "n_shared_experts": 3}),
    "v3-halves": ("DeepseekV3ForCausalLM", {**deepseek_v3, "num_hidden_layers": 2, "rope_interleave": False, "norm_topk_prob": False, "n_group": 2, "topk_group": 1, "rope_scaling": yarn40(1.0, 1.0)}),
    "v3-one-expert": ("DeepseekV3ForCausalLM", {**deepseek_v3, "num_hidden_layers": 2, "num_experts_per_tok": 1, "num_attention_heads": 40, "num_key_value_heads": 40, "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 3, "torch_dtype": "float32"}),
    "v3-dense": ("DeepseekV3ForCausalLM", {**deepseek_v3, "num_hidden_layers": 2, "first_k_dense_replace": 2, "rope_scaling": {"type": "linear", "factor": 4.0}}),
    "moe-normalised": ("DeepseekForCausalLM", {**deepseek, "num_hidden_layers": 2, "norm_topk_prob": True, "first_k_dense_replace": 0, "num_key_value_heads": 2, "n_shared_experts": 1}),
    "moe-every-second": ("DeepseekForCausalLM", {**deepseek, "moe_layer_freq": 2, "num_hidden_layers": 4, "attention_bias": True}),
    # Shapes that no fixture has, to check by hand.
    "qwen2-window": ("Qwen2ForCausalLM", {**common, "model_type": "qwen2", "use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1, "intermediate_size": 172}),
    "smollm3-untied": ("SmolLM3ForCausalLM", {**smollm3, "no_rope_layers": [0, 1, 0], "use_sliding_window": False, "attention_bias": True, "mlp_bias": True}),
    "smollm3-window": ("SmolLM3ForCausalLM", {**smollm3, "no_rope_layer_interval": 2, "use_sliding_window": True, "sliding_window": 11}),
    "olmo3-grouped": ("Olmo3ForCausalLM", {**olmo3, "hidden_size": 72, "intermediate_size": 100, "num_attention_heads": 6, "num_hidden_layers": 5}),
    "olmo3-plain": ("Olmo3ForCausalLM", {**olmo3, "rope_scaling": None, "layer_types": ["full_attention", "sliding_attention"] * 2}),
    "phi3-window": ("Phi3ForCausalLM", {**phi, "sliding_window": 7, "original_max_position_embeddings": 32768, "hidden_size": 48, "intermediate_size": 52, "num_key_value_heads": 4}),
    "phi3-long": ("Phi3ForCausalLM", {**phi, "sliding_window": None, "original_max_position_embeddings": 64, "partial_rotary_factor": 0.75, "rope_scaling": longrope, "tie_word_embeddings": True}),
    "phi3-longrope": ("Phi3ForCausalLM", {**phi, "sliding_window": 262144, "original_max_position_embeddings": 4096, "rope_scaling": {
        "type": "longrope", "short_factor": [1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07], "long_factor": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]}}),
    "granite-untied": ("GraniteForCausalLM", {**granite, "logits_scaling": 6.0, "attention_multiplier": 0.3, "residual_multiplier": 0.35, "embedding_multiplier": 3.5}),
    "granite-biased": ("GraniteForCausalLM", {**granite, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "intermediate_size": 90}),
    "tiny-jamba-odd": ("JambaForCausalLM", {**jamba, "hidden_size": 36, "intermediate_size": 50, "mamba_d_state": 5, "mamba_d_conv": 3, "mamba_dt_rank": 3, "mamba_expand": 1,
        "num_attention_heads": 3, "num_key_value_heads": 1, "mamba_conv_bias": False, "mamba_proj_bias": True, "tie_word_embeddings": True}),
    "jamba-one-layer": ("JambaForCausalLM", {**jamba, "num_hidden_layers": 1, "num_experts": 1, "num_experts_per_tok": 1, "mamba_d_conv": 2, "mamba_dt_rank": "auto"}),
    "jamba-no-attention": ("JambaForCausalLM", {**jamba, "num_hidden_layers": 3, "attn_layer_period": 8, "attn_layer_offset": 6, "expert_layer_period": 1,
        "expert_layer_offset": 0, "mamba_d_conv": 7, "num_experts": 6, "num_experts_per_tok": 3, "torch_dtype": "float32"}),
    "jamba-mostly-attention": ("JambaForCausalLM", {**jamba, "num_hidden_layers": 7, "attn_layer_period": 2, "attn_layer_offset": 0, "expert_layer_period": 3,
        "expert_layer_offset": 2, "mamba_d_state": 33, "mamba_expand": 3, "num_key_value_heads": 4}),
    "tiny-mamba": ("MambaForCausalLM", mamba),
    "mamba-odd": ("MambaForCausalLM", {**mamba, "conv_kernel": 2, "expand": 3, "hidden_size": 35, "intermediate_size": 105, "state_size": 9, "time_step_rank": "auto",
        "torch_dtype": "bfloat16", "use_bias": True, "use_conv_bias": False, "num_hidden_layers": 2, "tie_word_embeddings": False}),
    "gemma3-f32": ("Gemma3ForCausalLM", {**common, "model_type": "gemma3_text", "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 40,
        "query_pre_attn_scalar": 20, "rope_local_base_freq": 10000, "sliding_window": 12, "sliding_window_pattern": 2, "tie_word_embeddings": True, "torch_dtype": "float32"}),
}


def prompts(generator, vocabulary):
    return [torch.randint(3, min(500, vocabulary), (length,), generator=generator) for length in (1, 17, 200)]


def deepseek_moe(config):
    """DeepSeekMoE 16B, which transformers does not have: its Llama with the mixtures of its DeepSeek-V2 in some layers."""
    from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Moe

    llama = transformers.LlamaConfig.from_dict({**config, "model_type": "llama"}, attn_implementation="eager")
    v2 = transformers.DeepseekV2Config.from_dict({**config, "model_type": "deepseek_v2", "topk_method": "greedy", "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1}, experts_implementation="eager")
    model = transformers.LlamaForCausalLM._from_config(llama, dtype=torch.float32)
    for index, layer in enumerate(model.model.layers):
        if index < config["first_k_dense_replace"] or index % config["moe_layer_freq"]:
            continue
        layer.mlp = DeepseekV2Moe(v2)
        if config["norm_topk_prob"]:
            layer.mlp.gate.register_forward_hook(lambda _, __, out: (out[0], out[1] / out[1].sum(-1, keepdim=True), out[2]))
    return model.float().eval()


def per_expert(tensors):
    """Experts in one tensor -> one tensor each, as these models are published."""
    for key, value in tensors.items():
        if key.endswith(".experts.gate_up_proj"):
            for expert, matrix in enumerate(value):
                gate, up = matrix.chunk(2)
                yield f"{key[:-12]}{expert}.gate_proj.weight", gate.clone()
                yield f"{key[:-12]}{expert}.up_proj.weight", up.clone()
        elif key.endswith(".experts.down_proj"):
            for expert, matrix in enumerate(value):
                yield f"{key[:-9]}{expert}.down_proj.weight", matrix.clone()
        else:
            yield key, value


def entering(backbone, ids):
    """What enters every layer, and what leaves the last norm: transformers reports other states of Mamba."""
    states = []
    hooks = [layer.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0])) for layer in backbone.layers]
    states.append(backbone(input_ids=ids[None], use_cache=False).last_hidden_state)
    for hook in hooks:
        hook.remove()
    return states


def make(name, directory):
    class_name, published = CASES[name]
    directory.mkdir(parents=True, exist_ok=True)
    config_file = directory / "config.json"
    config_file.write_text(json.dumps({"architectures": [class_name], **published, "transformers_version": "4.57.0"}, indent=2) + "\n")
    dtype = torch.float32 if published.get("torch_dtype") == "float32" else torch.bfloat16
    generator = torch.Generator().manual_seed(sum(name.encode()))
    if class_name == "DeepseekForCausalLM":
        model = deepseek_moe(published)
    else:
        kind = getattr(transformers, class_name)
        config = kind.config_class.from_pretrained(directory, attn_implementation="eager", experts_implementation="eager")
        model = kind._from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            value = 1 + 0.2 * noise if parameter.ndim == 1 and "norm" in key and "bias" not in key else noise * (0.1 if parameter.ndim == 1 else 1.5 * parameter.shape[-1] ** -0.5)
            if class_name.startswith("Gemma3") and "norm" in key:
                value = value - 1
            parameter.copy_(value.to(dtype).float())
        for key, buffer in model.named_buffers():
            if key.endswith("e_score_correction_bias"):
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=generator))
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        tensors = {key: value if "correction_bias" in key else value.to(dtype) for key, value in per_expert(load_file(Path(saved) / "model.safetensors"))}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    golden = {}
    for n, ids in enumerate(prompts(generator, published.get("vocab_size", 512))):
        with torch.no_grad():
            out = model(input_ids=ids[None], output_hidden_states=True, use_cache=False)
            golden[f"ids.{n}"] = ids.int()
            golden[f"logits.{n}"] = out.logits[0, -4 if len(ids) > 32 else 0:].contiguous()
            if len(ids) <= 32:
                for layer, state in enumerate(out.hidden_states if class_name != "MambaForCausalLM" else entering(model.backbone, ids)):
                    golden[f"hidden.{n}.{layer}"] = state[0].contiguous()
                so_far = ids
                for _ in range(24):
                    following = model(input_ids=so_far[None], use_cache=False).logits[0, -1].argmax()
                    so_far = torch.cat([so_far, following[None]])
                golden[f"greedy.{n}"] = so_far[len(ids):].int()
    save_file(golden, directory / "golden.safetensors", metadata={"made_by": f"transformers {transformers.__version__}, float32, eager attention"})


def configs():
    written = {}
    for directory in sorted(CHECKPOINTS.iterdir()):
        with tempfile.TemporaryDirectory() as saved:
            known = {"deepseek": transformers.LlamaConfig, "kimi_k2": transformers.DeepseekV3Config}
            kind = json.loads((directory / "config.json").read_text()).get("model_type")
            known.get(kind, transformers.AutoConfig).from_pretrained(directory).save_pretrained(saved)
            written[directory.name] = json.loads((Path(saved) / "config.json").read_text())
            if kind in known:
                written[directory.name]["model_type"] = kind
    out = CHECKPOINTS.parent / "configs-transformers-5.json"
    out.write_text(json.dumps(written, indent=1) + "\n")


if sys.argv[1] == "--configs":
    configs()
else:
    for name in sys.argv[2:] or CASES:
        make(name, Path(sys.argv[1]) / name)
        print(name)
