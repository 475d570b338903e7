"""Merges that Hugging Face's tokenizers learns from the texts of test/tokenizer/train-bpe.test.ts: test/fixtures/bpe-merges.json.

Usage: python scripts/oracles/bpe-training.py TEXTS.json   (a list of [text, size], which the test writes when TEXTS names a file)
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

out = []
for text, size in json.load(open(sys.argv[1])):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"], show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    out.append([merge.split(" ") if isinstance(merge, str) else merge for merge in merges])
path = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "bpe-merges.json"
path.write_text(json.dumps(out, ensure_ascii=False) + "\n")
