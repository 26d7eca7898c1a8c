"""The calls of clients.py: for each client, names and what gives something true where it got what it asked for.

Runs in the client's own environment, with its name and where the servers are; imports nothing of the project.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

MODEL, OLLAMA_MODEL = "smollm2-135m", "smollm2:135m"
QUESTION = "What is the capital of France?"  # the small model ends its answer by itself
HELLO = [{"role": "user", "content": QUESTION}]
ADA = "Ada is 36 years old. Her name and age as JSON with the keys name and age."
ASK = [{"role": "user", "content": ADA}]
RAIN = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
WEATHER = "12 degrees and rain."
CLOSED = {"type": "object", "additionalProperties": False}
PERSON = CLOSED | {"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"]}
CITY = CLOSED | {"properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "The weather in a city now.", "parameters": CITY}
TOOL = {"type": "function", "function": FUNCTION}
TITLED = PERSON | {"title": "Person"}
COUNTED = {"include_usage": True}
MUST = {"tools": [TOOL], "tool_choice": "required"}
AS_SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
AS_OBJECT = {"type": "json_object"}


def person_class():
    """The same person for the clients that take a class."""
    from pydantic import create_model  # comes with each of them

    return create_model("Person", name=(str, ...), age=(int, ...))


def openai(at):
    from openai import OpenAI

    client = OpenAI(base_url=at.url, api_key="none", max_retries=0)
    make = partial(client.chat.completions.create, model=MODEL, max_tokens=200)
    write = partial(client.completions.create, model=MODEL, max_tokens=4)

    def said(messages=HELLO, **more):
        return make(messages=messages, **more).choices[-1].message

    def result():
        call = said(RAIN, **MUST)
        told = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": WEATHER}
        return json.loads(call.tool_calls[0].function.arguments)["city"] and said([*RAIN, call, told], tools=[TOOL])

    yield "chat", lambda: said().content
    yield "chat streamed with usage", lambda: [*make(messages=HELLO, stream=True, stream_options=COUNTED)][-1].usage
    yield "chat logprobs", lambda: make(messages=HELLO, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    yield "chat json_schema", lambda: json.loads(said(ASK, response_format=AS_SCHEMA).content)["name"]
    yield "chat json_object", lambda: json.loads(said(ASK, response_format=AS_OBJECT).content)
    yield "chat tool auto", lambda: said(RAIN, tools=[TOOL], tool_choice="auto")
    yield "chat tool required, and its result", result
    yield "chat n=2", lambda: said(n=2, temperature=1).content
    yield "chat frequency_penalty", lambda: said(frequency_penalty=0.5).content
    yield "chat last message from the assistant", lambda: said([*HELLO, {"role": "assistant", "content": "Hello, my"}])
    yield "completions", lambda: write(prompt="Once").choices[0].text
    yield "completions streamed", lambda: "".join(one.choices[0].text for one in write(prompt="Once", stream=True))
    yield "completions list of prompts", lambda: write(prompt=["Once", "The sea"]).choices[1].text
    yield "completions token ids", lambda: write(prompt=[504, 3764, 314]).choices[0].text
    yield "completions echo with logprobs", lambda: write(prompt="The sea", echo=True, logprobs=1).choices[0].logprobs
    yield "embeddings", lambda: client.embeddings.create(model=MODEL, input=["a", "b"]).data[1].embedding
    yield "base_url without /v1", lambda: OpenAI(base_url=at.root, api_key="none").models.list().data
    yield from responses(client)


def responses(client):
    ask = partial(client.responses.create, model=MODEL, input=HELLO, max_output_tokens=200)
    parse = partial(client.responses.parse, model=MODEL, input=ASK)
    tools = {"tools": [{"type": "function", "strict": True, **FUNCTION}]}

    def streamed():
        with client.responses.stream(model=MODEL, input=QUESTION, max_output_tokens=200) as events:
            return events.get_final_response().usage

    def result():
        output = ask(input=RAIN, tool_choice="required", **tools).output
        call = next(one for one in output if one.type == "function_call")
        told = {"type": "function_call_output", "call_id": call.call_id, "output": WEATHER}
        return json.loads(call.arguments)["city"] and ask(input=[*RAIN, *output, told], **tools).output

    yield "Responses", lambda: ask(instructions="Be brief.").output_text
    yield "Responses cut by max_output_tokens", lambda: ask(max_output_tokens=1).incomplete_details.reason
    yield "Responses streamed", streamed
    yield "Responses parse", lambda: parse(text_format=person_class()).output_parsed
    yield "Responses json_object", lambda: json.loads(ask(input=ASK, text={"format": AS_OBJECT}).output_text)
    yield "Responses tool required, and its result", result
    yield "Responses previous_response_id", lambda: ask(previous_response_id=ask().id).output_text


def litellm(at):
    from litellm import completion, embedding, responses, text_completion

    here = {"api_base": at.url, "api_key": "none", "max_retries": 0}

    def chat(route="openai", messages=HELLO, **more):
        return completion(f"{route}/{MODEL}", messages, max_tokens=200, **here, **more)

    for route in ("openai", "hosted_vllm", "lm_studio"):
        yield f"{route}/", partial(chat, route)
    yield "ollama_chat/", lambda: completion(f"ollama_chat/{OLLAMA_MODEL}", HELLO, api_base=at.ollama)
    yield "streamed", lambda: "".join(one.choices[0].delta.content or "" for one in chat(stream=True))
    yield "json_schema", lambda: chat("openai", ASK, response_format=person_class()).choices[0].message.content
    yield "tool required", lambda: chat("openai", RAIN, **MUST).choices[0].message.tool_calls
    yield "text_completion", lambda: text_completion("Once", f"text-completion-openai/{MODEL}", max_tokens=4, **here)
    yield "Responses", lambda: responses(QUESTION, f"openai/{MODEL}", max_output_tokens=24, **here).output
    yield "embeddings", lambda: embedding(f"openai/{MODEL}", ["a"], **here).data


def langchain_openai(at):
    from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

    here = {"base_url": at.url, "api_key": "none", "model": MODEL, "max_retries": 0}
    chat = ChatOpenAI(**here, max_tokens=200)
    must = chat.bind_tools([TOOL], tool_choice="required")

    def result():
        call = must.invoke(RAIN)
        told = {"role": "tool", "tool_call_id": call.tool_calls[0]["id"], "content": WEATHER}
        return chat.bind_tools([TOOL]).invoke([*RAIN, call, told])

    yield "invoke", lambda: chat.invoke(QUESTION).content
    yield "stream", lambda: list(chat.stream(QUESTION))
    yield "structured output of a class (default)", lambda: chat.with_structured_output(person_class()).invoke(ADA)
    for how in ("json_schema", "function_calling", "json_mode"):
        yield f"structured output {how}", lambda how=how: chat.with_structured_output(TITLED, method=how).invoke(ADA)
    yield "tool required", lambda: must.invoke(RAIN).tool_calls[0]["args"]["city"]
    yield "tool's result", result
    yield "Responses", lambda: ChatOpenAI(**here, use_responses_api=True).invoke(QUESTION).text
    yield "completions", lambda: OpenAI(**here, max_tokens=4).invoke("Once")
    yield "embeddings", lambda: OpenAIEmbeddings(**here, check_embedding_ctx_length=False).embed_query("a")


def instructor(at):
    import instructor as made
    from openai import OpenAI

    client = OpenAI(base_url=at.url, api_key="none", max_retries=0)
    for mode in ("TOOLS", "TOOLS_STRICT", "JSON", "JSON_SCHEMA", "RESPONSES_TOOLS"):
        create = made.from_openai(client, mode=made.Mode[mode]).create
        yield f"Mode.{mode}", partial(create, person_class(), ASK, model=MODEL, max_retries=0)


def pydantic_ai_slim(at):
    from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def weather(city: str) -> str:
        return WEATHER

    for name, kind in (("chat", OpenAIChatModel), ("Responses", OpenAIResponsesModel)):
        model = kind(MODEL, provider=OpenAIProvider(base_url=at.url, api_key="none"), settings={"max_tokens": 200})
        yield f"{name} text", partial(Agent(model).run_sync, QUESTION)
        yield f"{name} streamed", lambda model=model: Agent(model).run_stream_sync(QUESTION).get_output()
        for how in (ToolOutput, NativeOutput, PromptedOutput):
            yield f"{name} {how.__name__}", partial(Agent(model, output_type=how(person_class())).run_sync, ADA)
        yield f"{name} tool auto", partial(Agent(model, tools=[weather]).run_sync, RAIN[0]["content"])


def llm(at):
    folder = Path(tempfile.mkdtemp())
    known = {"model_name": MODEL, "api_base": at.url, "supports_schema": True, "supports_tools": True}
    models = [{"model_id": kind, kind: True, **known} for kind in ("chat", "completion", "responses")]
    (folder / "extra-openai-models.yaml").write_text(json.dumps(models))  # JSON is YAML too
    os.environ["LLM_USER_PATH"] = str(folder)

    def run(*words, model="chat"):
        command = [sys.executable, "-m", "llm", "prompt", "-m", model, *words]
        done = subprocess.run(command, capture_output=True, text=True, input="")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    yield "streamed", lambda: run(QUESTION)
    yield "--no-stream -s -o", lambda: run("--no-stream", "-s", "Be brief.", "-o", "max_tokens", "24", QUESTION)
    yield "--schema", lambda: json.loads(run("--schema", "name, age int", ADA))["name"]
    yield "-T (a tool)", lambda: run("-T", "llm_version", "Which version is it?", "-o", "max_tokens", "60") or "called"
    yield "completion: true", lambda: run("Once", "-o", "max_tokens", "4", model="completion")
    yield "responses: true", lambda: run(QUESTION, model="responses")


def lm_eval(at):
    from lm_eval import simple_evaluate

    rows = Path(tempfile.mkdtemp(), "rows.jsonl")  # a task of one row, so that nothing is fetched
    rows.write_text(json.dumps({"question": "The capital of France is", "choices": ["Paris", "nine"], "answer": 0}))
    task = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(rows)}}, "test_split": "test",
            "doc_to_text": "{{question}}", "doc_to_target": "answer", "doc_to_choice": "choices"}  # fmt: skip
    metrics = {"generate_until": "exact_match", "multiple_choice": "acc", "loglikelihood_rolling": "word_perplexity"}

    def score(model, kind, **more):
        given = {"model": MODEL, "base_url": f"{at.url}/{model[6:].replace('-', '/')}", "max_retries": 1, **more}
        named = {"task": kind, "output_type": kind, "metric_list": [{"metric": metrics[kind]}]}
        if kind == "loglikelihood_rolling":  # scores a text as a whole: there is nothing to choose
            named |= {"doc_to_target": "{{question}}", "doc_to_choice": None}
        tasks = [task | named]
        done = simple_evaluate(model, given, tasks, apply_chat_template="chat" in model)
        return isinstance(done["results"][kind][f"{metrics[kind]},none"], float)

    own = {"tokenizer": at.folder, "tokenizer_backend": "huggingface"}
    texts = partial(score, "local-completions", "multiple_choice", tokenized_requests=False, **own)
    yield "chat generate_until", partial(score, "local-chat-completions", "generate_until")
    for kind in metrics:
        yield f"completions {kind}", partial(score, "local-completions", kind, **own)
    yield "completions multiple_choice, texts instead of ids", texts


def ollama(at):
    from ollama import Client

    client = Client(at.ollama)
    chat = partial(client.chat, OLLAMA_MODEL, options={"num_predict": 200})
    told = [*RAIN, {"role": "tool", "tool_name": "weather", "content": WEATHER}]
    yield "list", lambda: client.list().models
    yield "chat", lambda: chat(HELLO).message.content
    yield "chat streamed", lambda: list(chat(HELLO, stream=True))[-1].eval_count
    yield "generate", lambda: client.generate(OLLAMA_MODEL, "Once", options={"num_predict": 4}).response
    yield "format: a schema", lambda: json.loads(chat(ASK, format=PERSON).message.content)["name"]
    yield "format: json", lambda: json.loads(chat(ASK, format="json").message.content)
    yield "tools", lambda: chat(RAIN, tools=[TOOL])
    yield "tool's result", lambda: chat(told, tools=[TOOL])
    yield "think", lambda: chat(HELLO, think=True)
    yield "embed", lambda: client.embed(OLLAMA_MODEL, "a").embeddings


def run_calls(name: str, at: SimpleNamespace) -> None:
    for call, ask in globals()[name.replace("-", "_")](at):
        told = {"call": call, "result": "works"}
        for root in (at.root, at.ollama):  # what these recorded last is now no call of a client
            urlopen(f"{root}/health").read()
        try:
            if not ask():
                told["result"] = "fails: it got nothing"
        except Exception as fault:  # each client has its own; what it met is in the server's record
            told["result"] = f"fails: {type(fault).__name__}: {' '.join(str(fault).split())[-200:]}"
        records = [json.load(urlopen(f"{root}/practice/exchange")) for root in (at.root, at.ollama)]
        told["exchange"] = next((one for one in records if "/health" not in one["head"]), None)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    run_calls(sys.argv[1], SimpleNamespace(**json.loads(sys.argv[2])))
