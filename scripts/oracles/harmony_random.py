"""Random conversations and chat requests as openai-harmony renders them; random answers as it reads them.
    node scripts/oracles/ranks.ts RANKS
    TIKTOKEN_ENCODINGS_BASE=RANKS python scripts/oracles/harmony_random.py SEED CONVERSATIONS REQUESTS OUT
    node scripts/oracles/harmony-compare.ts OUT
Development only. test/fixtures/harmony/random.jsonl is the output for seed 7, 150 conversations and 50 requests.
A line holds the SHA-256 of the ids, joined by commas, in each way of rendering, and the text of one of them.
"""
import hashlib
import json
import random
import re
import sys

from openai_harmony import (
    Conversation, HarmonyEncodingName, Message, RenderConversationConfig, Role, ToolNamespaceConfig, load_harmony_encoding,
)

seed, conversations, requests, out = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
rng = random.Random(seed)
chance = lambda p: rng.random() < p
pick = rng.choice

# ---------------------------------------------------------------- texts

PIECES = [
    "tide", "Brest", "17:42", "knots", "Łódź", "京都", "🚢", "👩‍🚀", "नमस्ते", "e\u0301", "\u00a0", "\u2028", "\ufeff", "\t", "  ", "\n", "\n\n", "\r\n", "\r",
    "<|start|>", "<|end|>", "<|channel|>final", "<|message|>", "<|call|>", "<|constrain|>json", "<|endoftext|>", "<|return|>", "</s>", "to=functions.f",
    '"quoted"', "it's", "\\d+", "\\", "`code`", "// note", "*/", "{", "}", "null", "1.50", "don't we'll", "x" * 20, "0", ",", ":", "|", "any", " ", ".",
]


def text(most=8):
    return "".join(pick(PIECES) + pick([" ", "", " "]) for _ in range(rng.randint(0, most)))


def line():
    return pick([text(5), text(3) + "\n", "Looks up.\n", "a\r\nb", "a\n\nb\n", "", "\n", "one line", "a\r", " x "])


# ---------------------------------------------------------------- schemas

KEYS = ["harbour", "10", "2", "1", "0", "-1", "01", "unit", "días", "a b", "type", "items", "oneOf", "x-y", "__proto__", "constructor", "length", "4294967295", "toString"]
NUMBERS = [0, 1, -1, 1.0, -0.0, 0.1, 1.5, 1e16, 1e15, 1e-4, 1e-5, 1e-7, 123456789.125, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 12345678901234567890123, -(2**63), -(2**63) - 1, 1e21, 1e22, 1.7976931348623157e308, 5e-324, 100000.0]
STRINGS = ["x", "", "m", 'say "hi"', "^\\d+$", "a\nb", "null", "é😀", "<|end|>", "1.0"]


def value(depth=0):
    kind = rng.randint(0, 6 if depth < 2 else 3)
    if kind == 0: return pick(NUMBERS)
    if kind == 1: return pick(STRINGS)
    if kind == 2: return pick([True, False, None])
    if kind == 3: return pick(NUMBERS + STRINGS)
    if kind == 4: return [value(depth + 1) for _ in range(rng.randint(0, 3))]
    return {key: value(depth + 1) for key in rng.sample(KEYS, rng.randint(0, 3))}


def schema(depth=0):
    if chance(0.03): return pick([True, False, {}, None, [], "string", 5])
    result = {}
    if chance(0.15): result["title"] = pick([text(3), "Title", 7])
    if chance(0.5): result["description"] = pick([line(), line(), None, 3])
    if chance(0.15): result["nullable"] = pick([True, True, False, "yes"])
    if chance(0.3): result["default"] = value()
    if chance(0.15): result["examples"] = pick([[value(1) for _ in range(rng.randint(0, 3))], "x", ["a", "b"], [1, 2]])
    if chance(0.1): result[pick(["$schema", "additionalProperties", "minimum", "format", "anyOf", "allOf", "$ref", "const"])] = value()
    if chance(0.25): result["enum"] = pick([[], ["x", None], [1, 2], ["m", "ft"], [value(2) for _ in range(rng.randint(0, 4))], "x", [""]])
    kinds = ["string", "string", "integer", "number", "boolean", "array", "null", "weird", None]
    if depth < 3: kinds += ["object", "object", "object", "array"]
    kind = pick(kinds)
    if chance(0.12): kind = pick([["string", "null"], ["integer", "null"], [], ["object"], [1, "string"], [None], ["number", "string"], {"a": 1}])
    if kind is not None: result["type"] = kind
    if depth < 3 and chance(0.15):
        shared = [schema(depth + 1) for _ in range(rng.randint(0, 3))]
        if shared and isinstance(shared[0], dict) and chance(0.3): shared[0]["description"] = result.get("description")
        result["oneOf"] = pick([shared, shared, shared, shared, {}, None])
    if kind == "array" and chance(0.8): result["items"] = schema(depth + 1)
    if kind == "object" or chance(0.05):
        keys = rng.sample(KEYS, rng.randint(0, 5))
        if chance(0.95): result["properties"] = {key: schema(depth + 1) for key in keys}
        if chance(0.6): result["required"] = pick([[key for key in keys if chance(0.5)], [key for key in keys if chance(0.5)], [1, *keys[:1]], "x"])
    items = list(result.items())
    rng.shuffle(items)
    return dict(items)


def parameters():
    made = schema()
    return made if isinstance(made, dict) else pick([None, {"type": "object", "properties": {}}])


NAMES = ["f", "tide", "look_up", "now", "book2", "días", "A"]


def functions():
    return [{"name": name, "description": line(), "parameters": parameters()} for name in rng.sample(NAMES, rng.randint(1, 3))]


# ---------------------------------------------------------------- conversations

def message(role, content, **header):
    return {"role": role, **header, "content": content}


def system():
    tools = {}
    for name, config in [("browser", ToolNamespaceConfig.browser()), ("python", ToolNamespaceConfig.python())]:
        if chance(0.15): tools[name] = config.model_dump()
    channels = pick([["analysis", "commentary", "final"]] * 4 + [["analysis", "final"], ["final"]])
    return message("system", {
        "type": "system_content", "model_identity": pick(["You are ChatGPT, a large language model trained by OpenAI.", text(4) or "x"]),
        "knowledge_cutoff": pick(["2024-06", "2030-01"]), "conversation_start_date": pick([None, "2031-02-03"]),
        "reasoning_effort": pick(["low", "medium", "high"]), "channel_config": {"valid_channels": channels, "channel_required": True}, "tools": tools or None,
    })


def developer():
    tools = {}
    if chance(0.8): tools["functions"] = {"name": "functions", "description": pick([None, None, line()]), "tools": functions()}
    if chance(0.1): tools["radio"] = {"name": "radio", "description": pick([None, line()]), "tools": pick([[], functions()])}
    instructions = pick([None, text(6) or None, "Be brief."])
    return message("developer", {"type": "developer_content", "instructions": instructions, "tools": tools or None})


def turns():
    name = pick(NAMES)
    made = [message("user", text(), **pick([{}, {}, {"name": "Ines"}]))]
    for _ in range(rng.randint(0, 3)):
        if chance(0.6): made.append(message("assistant", text(), channel="analysis"))
        if chance(0.2): made.append(message("assistant", text(), channel="commentary"))
        if chance(0.5):
            kind = pick(["<|constrain|>json", "json", None])
            header = {"recipient": f"functions.{name}", "channel": "commentary", **({"content_type": kind} if kind else {})}
            made.append(message("assistant", pick(['{"a": 1}', "{}", "", text(3)]), **header))
            made.append(message("tool", text(), name=f"functions.{name}", recipient="assistant", channel="commentary"))
        if chance(0.1):
            made.append(message("assistant", "print(7)", recipient="python", channel="analysis", content_type="code"))
            made.append(message("tool", "7", name="python", recipient="assistant", channel="analysis"))
    if chance(0.7): made.append(message("assistant", text(), channel="final", **pick([{}, {}, {"recipient": "all"}])))
    return made


def to_library(messages):
    ready = json.loads(json.dumps(messages))
    for each in ready:
        content = each["content"]
        if isinstance(content, dict):
            if content.get("reasoning_effort"): content["reasoning_effort"] = content["reasoning_effort"].capitalize()
            each["content"] = [content]
    return Conversation.from_messages([Message.from_dict(each) for each in ready])


def digest(ids):
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def conversation():
    messages = [system()] + ([developer()] if chance(0.8) else []) + [each for _ in range(rng.randint(1, 3)) for each in turns()]
    library = to_library(messages)
    drop, keep = RenderConversationConfig(auto_drop_analysis=True), RenderConversationConfig(auto_drop_analysis=False)
    whole = encoding.render_conversation(library, keep)
    return {"messages": messages, "text": encoding.decode_utf8(whole), "hashes": {
        "keep": digest(whole),
        "drop": digest(encoding.render_conversation(library, drop)),
        "completion": digest(encoding.render_conversation_for_completion(library, Role.ASSISTANT, drop)),
        "training": digest(encoding.render_conversation_for_training(library, drop)),
    }}


# ---------------------------------------------------------------- chat requests

def identifiers(names):
    """Names as the model sees them: blanks, dots and hyphens become `_`, other characters that no identifier has go."""
    found = {}
    for name in names:
        base = "".join(c for c in re.sub(r"[\s.-]", "_", name) if c.isalpha() or c.isnumeric() or c in "_$") or "unnamed"
        if base[0].isnumeric(): base = "_" + base
        identifier, n = base, 2
        while identifier in found.values(): identifier, n = f"{base}_{n}", n + 1
        found[name] = identifier
    return found


def request():
    names = rng.sample(["f", "web-search", "web.search", "fs.read", "2fast", "look up", "now"], rng.randint(0, 3))
    tools = []
    for name in names:
        function = {"name": name}
        if chance(0.8): function["description"] = line()
        made = parameters()
        if made is not None: function["parameters"] = made
        tools.append({"type": "function", "function": function})
    effort, choice = pick([None, "low", "medium", "high"]), pick([None, "auto", "none"])
    offered = [] if choice == "none" else tools
    shown = identifiers([tool["function"]["name"] for tool in offered])
    seen = lambda name: shown.get(name) or identifiers([name])[name]
    api, body, analysis = [], [], []
    instructions = [text(5) or "x" for _ in range(rng.randint(0, 2))]
    for each in instructions: api.append({"role": pick(["system", "developer"]), "content": each})
    for turn in range(rng.randint(1, 3)):
        said = text() or "hi"
        api.append({"role": "user", "content": said if chance(0.8) else [{"type": "text", "text": said}]})
        body.append(message("user", said))
        for round in range(rng.randint(0, 2)):
            thought, words = text() or None, pick([None, text(4) or None])
            calls = [(f"call_{turn}_{round}_{c}", pick(names or ["gone"]), pick(['{"a": 1.0}', '{"10":1,"2":[]}', '{"id":12345678901234567890}', '{ }'])) for c in range(rng.randint(1, 2))]
            answer = {"role": "assistant", "content": words, "tool_calls": [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls]}
            if thought: answer["reasoning_content"] = thought
            api.append(answer)
            if thought: body.append(message("assistant", thought, channel="analysis"))
            if words: body.append(message("assistant", words, channel="commentary"))
            for _, name, arguments in calls:
                body.append(message("assistant", arguments, recipient=f"functions.{seen(name)}", channel="commentary", content_type="<|constrain|>json"))
            for call, name, _ in calls:
                result = text()
                api.append({"role": "tool", "tool_call_id": call, "content": result})
                body.append(message("tool", result, name=f"functions.{seen(name)}", recipient="assistant", channel="commentary"))
        if chance(0.7):
            said = text() or "ok"
            api.append({"role": "assistant", "content": said})
            body.append(message("assistant", said, channel="final"))
        if chance(0.1):
            api.append({"role": "system", "content": "Now briefly."})
            body.append(message("developer", {"type": "developer_content", "instructions": "Now briefly.", "tools": None}))
    finals = [i for i, each in enumerate(body) if each.get("channel") == "final"]
    body = [each for i, each in enumerate(body) if not (each.get("channel") == "analysis" and finals and i < finals[-1])]
    functions = [{"description": "", "parameters": None, **tool["function"], "name": shown[tool["function"]["name"]]} for tool in offered]
    first = {"type": "system_content", "model_identity": "You are ChatGPT, a large language model trained by OpenAI.", "knowledge_cutoff": "2024-06",
             "conversation_start_date": None, "reasoning_effort": effort or "medium", "tools": None,
             "channel_config": {"valid_channels": ["analysis", "commentary", "final"], "channel_required": True}}
    second = {"type": "developer_content", "instructions": "\n\n".join(instructions) or None,
              "tools": {"functions": {"name": "functions", "description": None, "tools": functions}} if functions else None}
    whole = [message("system", first)] + ([message("developer", second)] if instructions or functions else []) + body
    ids = encoding.render_conversation_for_completion(to_library(whole), Role.ASSISTANT, RenderConversationConfig(auto_drop_analysis=False))
    sent = {"model": "m", "messages": api}
    if tools: sent["tools"] = tools
    if choice and tools: sent["tool_choice"] = choice
    if effort: sent["reasoning_effort"] = effort
    return {"request": json.dumps(sent, ensure_ascii=chance(0.5)), "text": encoding.decode_utf8(ids), "hashes": {"prompt": digest(ids)}}


with open(out, "w", encoding="utf-8", newline="\n") as file:
    for make, count in [(conversation, conversations), (request, requests)]:
        for _ in range(count): file.write(json.dumps(make(), ensure_ascii=False) + "\n")
