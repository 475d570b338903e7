"""Makes GGUF files of tiny checkpoints with the converter of llama.cpp, for test/fixtures/gguf.

The checkpoints have no tokenizers, so the files have none either. Needs torch, transformers and a checkout of llama.cpp
(the source archive of llama-cpp-python on PyPI has one under vendor/llama.cpp):

    python gguf.py LLAMA_CPP test/fixtures/checkpoints/tiny-phi4-mini test/fixtures/gguf/tiny-phi4-mini.gguf
"""

import importlib
import pkgutil
import sys

llama_cpp, checkpoint, out = sys.argv[1:4]
sys.path[:0] = [f"{llama_cpp}/gguf-py", llama_cpp]

import conversion  # noqa: E402
from conversion.base import TextModel  # noqa: E402


def without_vocabulary(kind):
    if "set_vocab" in kind.__dict__:
        kind.set_vocab = lambda self: None
    for derived in kind.__subclasses__():
        without_vocabulary(derived)


for module in pkgutil.iter_modules(conversion.__path__):
    importlib.import_module(f"conversion.{module.name}")
without_vocabulary(TextModel)

import convert_hf_to_gguf  # noqa: E402

sys.argv = ["convert_hf_to_gguf.py", "--outtype", "bf16", "--outfile", out, checkpoint]
convert_hf_to_gguf.main()
