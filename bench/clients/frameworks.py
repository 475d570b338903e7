"""Python clients and frameworks against a running `lineage serve`: a table in Markdown. clients.py beside it tests structured output.

pip install anthropic openai ollama litellm langchain-openai langchain-ollama langchain-anthropic llama-index-llms-openai-like llama-index-llms-ollama \
    instructor 'pydantic-ai-slim[openai,anthropic]' dspy outlines 'smolagents[openai,litellm]' autogen-agentchat 'autogen-ext[openai,ollama]' haystack-ai ollama-haystack llm crewai
lineage serve --port 8080 & python frameworks.py http://127.0.0.1:8080 abacus

The question is "What is 12 * 7?", which the embedded model answers. A missing package makes its rows "not installed".
"""

import asyncio
import importlib.metadata
import os
import sys
import tempfile

base, model = (sys.argv[1:3] + ["http://127.0.0.1:8080", "abacus"])[:2]
v1 = base + "/v1"
os.environ.update(OPENAI_API_KEY="none", ANTHROPIC_API_KEY="none", OLLAMA_HOST=base, OPENAI_BASE_URL=v1, LLM_USER_PATH=tempfile.mkdtemp(), LITELLM_LOCAL_MODEL_COST_MAP="True", CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", OTEL_SDK_DISABLED="true")
QUESTION = "What is 12 * 7?"
USER = [{"role": "user", "content": QUESTION}]
TOO_LONG = [{"role": "user", "content": "x" * 60_000}]
rows = []


def row(package, what, run, holds="84", weak=False):
    """Runs one case. `holds`: what the result must contain. `weak`: the client changes the prompt or the sampling, so that the small model may err."""
    try:
        title = f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        title = package
    try:
        value = str(run())
        result, detail = ("ok" if holds in value else "weak" if weak and value.strip() else "fails"), value
    except ImportError as error:
        result, detail = "not installed", str(error)
    except Exception as error:  # noqa: BLE001
        result, detail = "fails", f"{type(error).__name__}: {error}"
    detail = " ".join(detail.split()).replace("|", "\\|")[:90]
    rows.append((title, what, result, detail))
    print(" | ".join(rows[-1]), file=sys.stderr, flush=True)


def caught(run):
    """The name of the exception that a call raises."""
    try:
        return run()
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001
        return " ".join(kind.__name__ for kind in type(error).__mro__)


def openai_client():
    import openai

    return openai.OpenAI(base_url=v1, api_key="none", max_retries=0)


row("openai", "chat", lambda: openai_client().chat.completions.create(model=model, messages=USER).choices[0].message.content)
row("openai", "chat stream", lambda: "".join(c.choices[0].delta.content or "" for c in openai_client().chat.completions.create(model=model, messages=USER, stream=True) if c.choices))
row("openai", "responses", lambda: openai_client().responses.create(model=model, input=QUESTION).output_text)
row("openai", "embeddings of a generator: 400", lambda: caught(lambda: openai_client().embeddings.create(model=model, input="x")), "BadRequestError")


def anthropic_client():
    import anthropic

    return anthropic.Anthropic(base_url=base, api_key="none", max_retries=0)


row("anthropic", "messages", lambda: anthropic_client().messages.create(model=model, max_tokens=300, messages=USER).content[0].text)


def anthropic_stream():
    with anthropic_client().messages.stream(model=model, max_tokens=300, messages=USER) as stream:
        return "".join(stream.text_stream)


row("anthropic", "stream", anthropic_stream)
row("anthropic", "count_tokens", lambda: anthropic_client().messages.count_tokens(model=model, messages=USER).input_tokens > 5, "True")
row("anthropic", "prompt too long", lambda: caught(lambda: anthropic_client().messages.create(model=model, max_tokens=9, messages=TOO_LONG)), "BadRequestError")


def ollama_client():
    import ollama

    return ollama.Client(base)


row("ollama", "chat", lambda: ollama_client().chat(model=model, messages=USER).message.content)
row("ollama", "generate stream", lambda: "".join(p.response for p in ollama_client().generate(model=model, prompt=QUESTION, stream=True)))
row("ollama", "list", lambda: ollama_client().list().models[0].model, model)


def lite(name, **options):
    import litellm

    litellm.suppress_debug_info = True
    return litellm.completion(model=name, messages=options.pop("messages", USER), num_retries=0, **options)


for prefix, url in (("openai", v1), ("hosted_vllm", v1), ("lm_studio", v1), ("llamafile", v1), ("ollama_chat", base), ("ollama", base), ("anthropic", base), ("text-completion-openai", v1)):
    options = {"api_base": url, **({} if prefix.startswith("ollama") else {"api_key": "none"}), **({"max_tokens": 300} if prefix == "anthropic" else {})}
    holds = "84" if prefix != "text-completion-openai" else ""
    row("litellm", f"{prefix}/", lambda prefix=prefix, options=options: lite(f"{prefix}/{model}", **options).choices[0].message.content, holds, weak=prefix == "ollama")
row("litellm", "openai/, stream", lambda: "".join(c.choices[0].delta.content or "" for c in lite(f"openai/{model}", api_base=v1, api_key="none", stream=True)))
row("litellm", "ollama_chat/, stream", lambda: "".join(c.choices[0].delta.content or "" for c in lite(f"ollama_chat/{model}", api_base=base, stream=True)))
for prefix, url in (("openai", v1), ("hosted_vllm", v1), ("anthropic", base)):
    row("litellm", f"{prefix}/, prompt too long", lambda prefix=prefix, url=url: caught(lambda: lite(f"{prefix}/{model}", api_base=url, api_key="none", messages=TOO_LONG)), "ContextWindowExceededError")


def responses_of_litellm():
    import litellm

    return litellm.responses(model=f"openai/{model}", input=QUESTION, api_base=v1, api_key="none")


row("litellm", "responses", responses_of_litellm)


def chain(kind):
    if kind == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=model, base_url=v1, api_key="none", max_retries=0)
    if kind == "ollama":
        from langchain_ollama import ChatOllama

        return ChatOllama(model=model, base_url=base, stop=list("abcdef"))
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model=model, base_url=base, api_key="none", max_tokens=300, max_retries=0)


for kind in ("openai", "ollama", "anthropic"):
    row(f"langchain-{kind}", "invoke", lambda kind=kind: chain(kind).invoke(QUESTION).content)
    row(f"langchain-{kind}", "stream", lambda kind=kind: "".join(str(c.content) for c in chain(kind).stream(QUESTION)), "4")
row("langchain-openai", "prompt too long", lambda: caught(lambda: chain("openai").invoke("x" * 60_000)), "ContextOverflowError")


def llama_index(kind):
    if kind == "ollama":
        from llama_index.llms.ollama import Ollama

        return Ollama(model=model, base_url=base)
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(model=model, api_base=v1, api_key="none", is_chat_model=True)


def index_chat(kind):
    from llama_index.core.llms import ChatMessage

    return llama_index(kind).chat([ChatMessage(role="user", content=QUESTION)]).message.content


row("llama-index-llms-openai-like", "chat", lambda: index_chat("openai"))
row("llama-index-llms-ollama", "chat", lambda: index_chat("ollama"))


def instructed():
    import instructor
    import pydantic

    class Answer(pydantic.BaseModel):
        answer: int = pydantic.Field(ge=0, le=999)

    client = instructor.from_openai(openai_client(), mode=instructor.Mode.JSON_SCHEMA)
    return client.create(model=model, messages=USER, response_model=Answer, max_retries=0, max_tokens=300)


row("instructor", "JSON_SCHEMA", instructed, "answer=")


def pydantic_agent(kind):
    from pydantic_ai import Agent

    if kind == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return Agent(AnthropicModel(model, provider=AnthropicProvider(anthropic_client=__import__("anthropic").AsyncAnthropic(base_url=base, api_key="none")))).run_sync(QUESTION).output
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    made = (OpenAIChatModel if kind == "chat" else OpenAIResponsesModel)(model, provider=OpenAIProvider(base_url=v1, api_key="none"))
    return Agent(made).run_sync(QUESTION).output


for kind in ("chat", "responses", "anthropic"):
    row("pydantic-ai-slim", kind, lambda kind=kind: pydantic_agent(kind))


def dspy_answer(name, **options):
    import dspy

    return dspy.LM(name, cache=False, num_retries=0, **options)(messages=USER)


row("dspy", "openai/", lambda: dspy_answer(f"openai/{model}", api_base=v1, api_key="none"))
row("dspy", "ollama_chat/", lambda: dspy_answer(f"ollama_chat/{model}", api_base=base, api_key="none"))


def outlined():
    import typing

    import outlines

    return outlines.from_vllm(openai_client(), model)(QUESTION, typing.Literal["yes", "no"], max_tokens=50)


row("outlines", "from_vllm, Literal", outlined, "")


def smol(kind):
    from smolagents import LiteLLMModel, OpenAIServerModel

    made = OpenAIServerModel(model_id=model, api_base=v1, api_key="none") if kind == "openai" else LiteLLMModel(model_id=f"ollama_chat/{model}", api_base=base)
    return made.generate([{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]).content


row("smolagents", "OpenAIServerModel", lambda: smol("openai"))
row("smolagents", "LiteLLMModel ollama_chat/", lambda: smol("ollama"))


def autogen(kind):
    from autogen_core.models import UserMessage

    info = {"vision": False, "function_calling": True, "json_output": True, "family": "unknown", "structured_output": True}
    if kind == "ollama":
        from autogen_ext.models.ollama import OllamaChatCompletionClient

        client = OllamaChatCompletionClient(model=model, host=base, model_info=info)
    else:
        from autogen_ext.models.openai import OpenAIChatCompletionClient

        client = OpenAIChatCompletionClient(model=model, base_url=v1, api_key="none", model_info=info)
    return asyncio.run(client.create([UserMessage(content=QUESTION, source="user")])).content


row("autogen-ext", "openai", lambda: autogen("openai"), weak=True)
row("autogen-ext", "ollama", lambda: autogen("ollama"))


def crew(name, **options):
    from crewai import LLM

    return LLM(model=f"{name}/{model}", api_key="none", **options).call(USER)


def crew_of_one():
    from crewai import LLM, Agent, Crew, Task

    agent = Agent(role="calculator", goal="Answer sums", backstory="You calculate.", llm=LLM(model=f"openai/{model}", base_url=v1, api_key="none", max_tokens=300))
    return Crew(agents=[agent], tasks=[Task(description=QUESTION, expected_output="a number", agent=agent)]).kickoff().raw


row("crewai", "openai/", lambda: crew("openai", base_url=v1))
row("crewai", "hosted_vllm/", lambda: crew("hosted_vllm", base_url=v1, api_base=v1))
row("crewai", "ollama/", lambda: crew("ollama", base_url=base, api_base=base), weak=True)
row("crewai", "a crew of one", crew_of_one, weak=True)


def haystack(kind):
    from haystack.dataclasses import ChatMessage

    if kind == "ollama":
        from haystack_integrations.components.generators.ollama import OllamaChatGenerator

        made = OllamaChatGenerator(model=model, url=base)
    else:
        from haystack.components.generators.chat import OpenAIChatGenerator
        from haystack.utils import Secret

        made = OpenAIChatGenerator(api_key=Secret.from_token("none"), api_base_url=v1, model=model)
    return made.run([ChatMessage.from_user(QUESTION)])["replies"][0].text


row("haystack-ai", "openai", lambda: haystack("openai"))
row("ollama-haystack", "chat", lambda: haystack("ollama"), weak=True)


def llm_cli():
    import pathlib
    import subprocess

    import llm

    pathlib.Path(os.environ["LLM_USER_PATH"], "extra-openai-models.yaml").write_text(f"- model_id: here\n  model_name: {model}\n  api_base: {v1}\n  api_key_name: none\n")
    assert llm
    return subprocess.run([sys.executable, "-m", "llm", "-m", "here", "--key", "none", QUESTION], capture_output=True, text=True, timeout=60, check=True).stdout


row("llm", "prompt", llm_cli)

print("| client | what | result | what came |\n|-|-|-|-|")
for cells in rows:
    print("| " + " | ".join(cells) + " |")
sys.exit(1 if any(cells[2] == "fails" for cells in rows) else 0)
