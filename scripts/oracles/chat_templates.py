"""Renders published chat templates with random conversations as transformers does, for bench/templates.ts. Development only.
    pip install jinja2==3.1.6 transformers==5.24.0
    pip download --no-deps --no-binary llama-cpp-python llama-cpp-python   # vendor/llama.cpp/models/templates
    python scripts/oracles/chat_templates.py vendor/llama.cpp/models/templates 40 1 cases.json   # conversations, seed
"""
import json
import random
import sys
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

WORDS = "tide harbour Brest now? It's \"ok\" <b>fine</b> naïve 日本 😀 a&b 50% {x} [y] \\n -- # end. 1.5 true null it's".split(" ")
ODD = ["", " ", "\n", "  two\n\nlines  \n", "a</think>b", "<think>x</think>\n\ny", "<tool_response>\nz\n</tool_response>", "{{ x }}", "{% if %}", "\ufeffbom\ufeff", "tab\there", "x\r\ny", "'q'", "</s><|im_end|>", "[INST]", "```json\n{}\n```"]
NAMES = ["tide", "get_weather", "items", "search-web", "fs.read", "f", "book_berth"]
KEYS = ["harbour", "items", "keys", "type", "get", "10", "2", "größe", "values", "name", "description", "properties", "title", "unit"]


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def chance(self, p):
        return self.r.random() < p

    def text(self, odd=0.15):
        if self.chance(odd):
            return self.r.choice(ODD)
        words = [self.r.choice(WORDS) for _ in range(self.r.randint(1, 8))]
        out = " ".join(words)
        if self.chance(0.1):
            out = self.r.choice([" ", "\n", "\n  "]) + out
        if self.chance(0.1):
            out += self.r.choice([" ", "\n", "\n\n"])
        if self.chance(0.1):
            out = out.replace(" ", "\n", 1)
        return out

    def value(self, depth=0):
        kinds = ["s", "s", "i", "f", "b", "n"] + (["l", "o"] if depth < 3 else [])
        kind = self.r.choice(kinds)
        if kind == "s":
            return self.text()
        if kind == "i":
            return self.r.choice([0, 1, -3, 42, 12345678901234567890])
        if kind == "f":
            return self.r.choice([1.0, 0.5, -2.25, 1e-7, 1e16, 3.14159, 1e22])
        if kind == "b":
            return self.chance(0.5)
        if kind == "n":
            return None
        if kind == "l":
            return [self.value(depth + 1) for _ in range(self.r.randint(0, 3))]
        return {key: self.value(depth + 1) for key in self.keys()}

    def keys(self):
        return self.r.sample(KEYS, self.r.randint(0, 3))

    def schema(self, depth=0):
        kind = self.r.choice(["string", "integer", "number", "boolean", "string", "array", "object", "list", "anyOf", "enum"] if depth < 3 else ["string", "integer"])
        out = {}
        if kind == "array":
            out = {"type": "array"}
            if self.chance(0.8):
                out["items"] = self.schema(depth + 1)
        elif kind == "object":
            out = self.object(depth + 1)
        elif kind == "list":
            out = {"type": self.r.sample(["string", "null", "integer", "number"], 2)}
        elif kind == "anyOf":
            out = {"anyOf": [self.schema(depth + 1), {"type": "null"}]}
        elif kind == "enum":
            out = {"type": "string", "enum": self.r.sample(["m", "ft", "it's", "é"], 2)}
        else:
            out = {"type": kind}
        if self.chance(0.5):
            out["description"] = self.text(0.1)
        if self.chance(0.2):
            out["default"] = self.value(3)
        if self.chance(0.1):
            out["nullable"] = True
        if self.chance(0.1):
            out["minimum"] = self.r.choice([0, 1.0, -1])
        return out

    def object(self, depth=0):
        keys = self.keys()
        out = {"type": "object", "properties": {key: self.schema(depth) for key in keys}}
        if keys and self.chance(0.6):
            out["required"] = keys[: self.r.randint(1, len(keys))]
        if self.chance(0.15):
            out["additionalProperties"] = False
        return out

    def tools(self):
        tools = []
        for name in self.r.sample(NAMES, self.r.randint(1, 3)):
            tool = {"name": name}
            if self.chance(0.9):
                tool["description"] = self.text(0.1)
            if self.chance(0.95):
                tool["parameters"] = self.object()
            tools.append(tool)
        return tools

    def conversation(self):
        tools = self.tools() if self.chance(0.5) else []
        messages = []
        if self.chance(0.5):
            messages.append({"role": "system", "content": self.text(0.1)})
        calls = 0
        for turn in range(self.r.randint(1, 3)):
            messages.append({"role": "user", "content": self.text()})
            if self.chance(0.05):
                messages.append({"role": "user", "content": self.text()})
            if turn > 0 and self.chance(0.3):
                break
            for _ in range(self.r.randint(0, 2) if tools else 0):
                parts = []
                if self.chance(0.4):
                    parts.append({"type": "reasoning", "text": self.text(0.05) or "r"})
                if self.chance(0.4):
                    parts.append({"type": "text", "text": self.text(0.05) or "t"})
                ids = []
                for _ in range(self.r.choice([1, 1, 2])):
                    calls += 1
                    ids.append(f"call{calls:05d}")
                    args = self.r.choice(["", "{}"]) if self.chance(0.1) else json.dumps({key: self.value() for key in self.keys()}, ensure_ascii=False)
                    parts.append({"type": "tool-call", "id": ids[-1], "name": self.r.choice(tools)["name"], "arguments": args})
                messages.append({"role": "assistant", "content": parts})
                for each in ids:
                    messages.append({"role": "tool", "toolCallId": each, "content": self.text(0.1) if self.chance(0.5) else json.dumps(self.value(), ensure_ascii=False)})
            if messages[-1]["role"] == "tool" and self.chance(0.3):
                break
            if self.chance(0.85):
                parts = []
                if self.chance(0.3):
                    parts.append({"type": "reasoning", "text": self.text(0.05) or "r"})
                parts.append({"type": "text", "text": self.text()})
                messages.append({"role": "assistant", "content": parts if self.chance(0.7) else self.text()})
        if messages[-1]["role"] == "assistant" and self.chance(0.9):
            messages.append({"role": "user", "content": self.text()})
        options = {}
        if tools:
            options["tools"] = tools
        thinking = self.r.choice([None, None, True, False, "low", "high"])
        if thinking is not None:
            options["thinking"] = thinking
        return {"messages": messages, "options": options}


def to_template(message):
    """A message of our chat API as the field names that chat templates read."""
    if message["role"] == "tool":
        return {"role": "tool", "content": message["content"], "tool_call_id": message["toolCallId"]}
    if message["role"] != "assistant" or isinstance(message["content"], str):
        return {"role": message["role"], "content": message["content"]}
    parts = message["content"]
    out = {"role": "assistant", "content": "".join(part["text"] for part in parts if part["type"] == "text")}
    thoughts = "".join(part["text"] for part in parts if part["type"] == "reasoning")
    if thoughts:
        out["reasoning_content"] = thoughts
    calls = [part for part in parts if part["type"] == "tool-call"]
    if calls:
        out["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": json.loads(call["arguments"] or "{}")}}
            for call in calls
        ]
    return out


def render(template, conversation):
    options = conversation["options"]
    variables = {"bos_token": "<s>", "eos_token": "</s>"}
    thinking = options.get("thinking")
    if thinking is not None:
        variables["enable_thinking"] = thinking is not False
    if isinstance(thinking, str):
        variables["reasoning_effort"] = thinking
    tools = [{"type": "function", "function": tool} for tool in options["tools"]] if "tools" in options else None
    try:
        texts, _ = render_jinja_template(
            [[to_template(message) for message in conversation["messages"]]], tools=tools, chat_template=template, add_generation_prompt=True, **variables
        )
        return {"text": texts[0]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(folder, count, seed, out):
    generator = Generator(int(seed))
    conversations = [generator.conversation() for _ in range(int(count))]
    templates = {}
    for path in sorted(Path(folder).glob("*.jinja")):
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        templates[path.stem] = {"template": text, "results": [render(text, each) for each in conversations]}
    Path(out).write_text(json.dumps({"conversations": conversations, "templates": templates}, ensure_ascii=False))
    results = [result for each in templates.values() for result in each["results"]]
    print(f"{len(templates)} templates, {len(results)} results, {sum('error' in each for each in results)} refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
