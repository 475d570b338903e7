"""Structured output through the Python clients that people use, against a running `lineage serve`: a table in Markdown.

pip install outlines instructor openai 'pydantic-ai-slim[openai]'; lineage serve MODEL --port 8080; python clients.py http://127.0.0.1:8080 MODEL
"""

import enum
import sys
import time
import typing

import instructor
import openai
import outlines
import pydantic

base, model = sys.argv[1:3]
client = openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0, timeout=240)
QUESTION = "Ada Lovelace is 36 years old and lives in London. Extract the person."


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=40)
    age: int = pydantic.Field(ge=0, le=150)


class Colour(enum.Enum):
    red = "red"
    green = "green"


rows = []


def attempt(name, mode, run, weak=False):
    """Runs one case. `weak`: the mode leaves the answer free, so a failure may be the model's."""
    start = time.time()
    try:
        value = str(run()).replace("\n", " ").replace("|", "\\|")
        result, detail = "ok", value[:80]
    except Exception as error:  # noqa: BLE001
        lines = [line for line in str(error).split("\n") if line.strip()] or [type(error).__name__]
        result, detail = ("weak" if weak else "fails"), lines[0].replace("|", "\\|")[:110]
    rows.append((name, mode, result, detail))
    print(f"| {name} | {mode} | {result} | {detail} | {time.time() - start:.1f} s", file=sys.stderr, flush=True)


def expect(condition, value):
    assert condition, repr(value)
    return value


# outlines: the client for OpenAI knows schemas only, the one for vLLM everything.
for name, wrapped, everything in (
    ("outlines from_openai", outlines.from_openai(client, model), False),
    ("outlines from_vllm", outlines.from_vllm(client, model), True),
):
    def ask(output, **options):
        return wrapped(QUESTION, output, max_tokens=80, temperature=0, **options)

    attempt(name, "pydantic model", lambda: Person.model_validate_json(ask(Person)))
    if not everything:
        continue
    attempt(name, "Literal", lambda: expect((v := ask(typing.Literal["yes", "no"])) in ("yes", "no"), v))
    attempt(name, "Enum", lambda: expect((v := ask(Colour)) in ("red", "green"), v))
    attempt(name, "int", lambda: int(ask(int)))
    attempt(name, "bool", lambda: expect((v := ask(bool)) in ("True", "False"), v))
    attempt(name, "regex", lambda: expect((v := ask(outlines.types.Regex(r"[A-Z][a-z]{2,9}, [0-9]{1,3}"))).count(", ") == 1, v))
    attempt(name, "list of int", lambda: expect((v := ask(typing.List[int]))[0] == "[", v))
    grammar = outlines.types.CFG('root ::= name " is " [0-9]+ "."\nname ::= "Ada" | "Eve"')
    attempt(name, "grammar (EBNF)", lambda: expect((v := ask(grammar)).startswith(("Ada is ", "Eve is ")) and v.endswith("."), v))
    attempt(name, "Literal, streamed", lambda: expect((v := "".join(wrapped.stream(QUESTION, typing.Literal["yes", "no"], max_tokens=9))) in ("yes", "no"), v))


# instructor: modes that only ask for JSON in the prompt depend on the model.
MODES = [
    ("TOOLS", False), ("TOOLS_STRICT", False), ("FUNCTIONS", False), ("JSON_SCHEMA", False), ("JSON", True), ("JSON_O1", True),
    ("MD_JSON", True), ("PARALLEL_TOOLS", True), ("RESPONSES_TOOLS", False),
]
for name, weak in MODES:
    mode = getattr(instructor.Mode, name)

    def extract(mode=mode, name=name):
        wrapped = instructor.from_openai(client, mode=mode)
        limit = {"max_output_tokens": 200} if name.startswith("RESPONSES") else {"max_tokens": 200, "temperature": 0}
        kind = typing.Iterable[Person] if name == "PARALLEL_TOOLS" else Person
        value = wrapped.create(model=model, messages=[{"role": "user", "content": QUESTION}], response_model=kind, max_retries=0, **limit)
        return expect(len(v := list(value)) > 0, v) if name == "PARALLEL_TOOLS" else value

    attempt("instructor", name, extract, weak)
for name in ("TOOLS", "JSON_SCHEMA"):
    wrapped = instructor.from_openai(client, mode=getattr(instructor.Mode, name))
    messages = [{"role": "user", "content": "Ada is 36 years old. Bob is 31 years old. Extract the persons."}]

    def partial():
        parts = list(wrapped.create_partial(model=model, messages=messages, response_model=Person, max_retries=0, max_tokens=200, temperature=0))
        return expect(parts[-1].age is not None, parts[-1])

    def iterable():
        persons = list(wrapped.create_iterable(model=model, messages=messages, response_model=Person, max_retries=0, max_tokens=300, temperature=0))
        return expect(len(persons) > 0, persons)

    attempt("instructor create_partial", name, partial)
    attempt("instructor create_iterable", name, iterable)


# openai's own helpers, and the calls of older versions
attempt("openai", "chat.completions.parse", lambda: client.chat.completions.parse(
    model=model, messages=[{"role": "user", "content": QUESTION}], response_format=Person, max_tokens=120).choices[0].message.parsed)
attempt("openai", "responses.parse", lambda: client.responses.parse(
    model=model, input=QUESTION, text_format=Person, max_output_tokens=200).output_parsed)


def functions():
    function = {"name": "person", "parameters": Person.model_json_schema()}
    message = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTION}], functions=[function], function_call={"name": "person"}, max_tokens=200,
    ).choices[0].message
    return Person.model_validate_json(message.function_call.arguments)


attempt("openai", "functions, function_call", functions)


# pydantic-ai
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput  # noqa: E402
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel  # noqa: E402
from pydantic_ai.providers.openai import OpenAIProvider  # noqa: E402

provider = OpenAIProvider(base_url=base + "/v1", api_key="none")
settings = {"max_tokens": 200, "temperature": 0}
for kind, weak in ((NativeOutput, False), (ToolOutput, False), (PromptedOutput, True)):
    attempt("pydantic-ai chat", kind.__name__, lambda kind=kind: Agent(
        OpenAIChatModel(model, provider=provider), output_type=kind(Person), retries=0, model_settings=settings).run_sync(QUESTION).output, weak)
attempt("pydantic-ai responses", "NativeOutput", lambda: Agent(
    OpenAIResponsesModel(model, provider=provider), output_type=NativeOutput(Person), retries=0, model_settings=settings).run_sync(QUESTION).output)

print("| client | mode | result | what came |\n|-|-|-|-|")
for row in rows:
    print("| " + " | ".join(row) + " |")
