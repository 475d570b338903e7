"""Steps of nanoGPT's small CPU recipe in PyTorch, for bench/train.ts: python nanogpt.py TEXT THREADS FUSED.

Written from the published recipe (karpathy/nanoGPT, config/train_shakespeare_char.py with --device=cpu --compile=False --block_size=64
--batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --dropout=0.0): no biases, exact GELU, scaled_dot_product_attention, tied output matrix,
AdamW (0.9, 0.99), decay 0.1 on matrices, gradient norm at most 1. FUSED: whether AdamW is PyTorch's fused kernel (nanoGPT uses that on GPUs only).
Each line on standard input is a number of steps; the answer is their milliseconds as JSON.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

LAYERS, HEADS, WIDTH, BLOCK, BATCH = 4, 4, 128, 64, 12


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm2 = nn.LayerNorm(WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        batch, time_, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(WIDTH, dim=2)
        q, k, v = (part.view(batch, time_, HEADS, WIDTH // HEADS).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(batch, time_, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(BLOCK, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02 / (2 * LAYERS) ** 0.5 if name.endswith(("out.weight", "down.weight")) else 0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return F.cross_entropy(self.head(self.norm(x)).view(-1, self.head.out_features), targets.view(-1))


def main():
    path, threads, fused = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "fused"
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    text = open(path, encoding="utf8").read()
    characters = {c: i for i, c in enumerate(sorted(set(text)))}
    data = torch.tensor([characters[c] for c in text[: int(0.9 * len(text))]])
    model = Model(len(characters))
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=fused or None)

    def step():
        starts = torch.randint(len(data) - BLOCK, (BATCH,))
        ids = torch.stack([data[i : i + BLOCK] for i in starts])
        targets = torch.stack([data[i + 1 : i + 1 + BLOCK] for i in starts])
        loss = model(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in iter(sys.stdin.readline, ""):
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            loss = step()
            times.append(1000 * (time.perf_counter() - start))
        print(json.dumps({"times": times, "loss": loss}), flush=True)


main()
