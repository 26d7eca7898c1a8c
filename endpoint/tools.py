"""Functions that a model may call: told to it as text, its answer held to their schemas, its call read back.

Pure. A grammar keeps every call valid; which function a small model chooses, and with what, is often wrong.
"""

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import AliasChoices, AliasPath, BaseModel, Field

from slmlab.errors import BadRequest
from slmlab.sampling import JSON_FORM

NAME = r"^[\w-]{1,64}$"
BEGIN, END = "<tool_call>", "</tool_call>"


def inner(name: str, **more):
    """A field that chats have one level down, under `function`."""
    return Field(validation_alias=AliasChoices(AliasPath("function", name), name), **more)


class Named(BaseModel):
    type: Literal["function"] = "function"
    name: str = inner("name", pattern=NAME)


class Function(Named):
    description: str | None = inner("description", default=None)
    parameters: dict | None = inner("parameters", default=None)


class Call(Named):
    """A function and its arguments, as a model asked for it or as a client tells of it."""

    id: str = ""
    arguments: str | dict = inner("arguments")  # JSON as a text, as OpenAI has it, or as Ollama does

    @property
    def told(self) -> dict:
        """As a chat tells it."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(frozen=True)
class Tools:
    """The functions that an answer may call; with `required`, the answer is a call."""

    functions: Sequence[Function]
    required: bool = False

    @classmethod
    def of(cls, functions: Sequence[Function], choice: str | Named | None) -> "Tools | None":
        """What a request leaves to choose from: 'auto', 'none', 'required', or one function by its name."""
        if choice == "none" or (not functions and choice in (None, "auto")):
            return None
        if isinstance(choice, Named):
            functions = [one for one in functions if one.name == choice.name]
        if not functions:
            raise BadRequest("tool_choice is auto, none, required, or names a function that is among the tools.")
        return cls(functions, required=choice not in (None, "auto"))

    @property
    def told(self) -> str:
        """What the model is told about them."""
        known = [one.model_dump(exclude={"type"}, exclude_none=True) for one in self.functions]
        listed = [json.dumps(one, ensure_ascii=False) for one in known]
        example = f'{BEGIN}{{"name": "...", "arguments": {{...}}}}{END}'
        when = "Answer with the call that is needed" if self.required else "Where one helps, answer with a call"
        return "\n".join(["You can call these functions:", *listed, f"{when}, in this form: {example}"])

    def grammar(self, schema: dict | None) -> str:
        """What the answer may be, in Lark's form: a call whose arguments fit, or a text (of this schema)."""
        rules = ["start: " + " | ".join(f"call{number}" for number, _ in enumerate(self.functions))]
        for number, one in enumerate(self.functions):
            head = json.dumps(f'{BEGIN}{{"name": {json.dumps(one.name)}, "arguments": ')
            rules.append(f"call{number}: {head} arguments{number} {json.dumps('}' + END)}")
            rules.append(f"arguments{number}: %json {_formed(one.parameters or {'type': 'object'})}")
        if not self.required:
            rules[0] += " | text"
            rules.append(f"text: %json {_formed(schema)}" if schema else r"text: /[^<](.|\n)*/")
        return "\n".join(rules)


def _formed(schema: dict) -> str:
    return json.dumps(schema | {"x-guidance": JSON_FORM})


def as_call(text: str) -> Call | None:
    """The call that a whole answer is."""
    if not (found := re.fullmatch(f"{BEGIN}(.*){END}", text, re.DOTALL)):
        return None
    said = json.loads(found[1])
    arguments = json.dumps(said["arguments"], ensure_ascii=False)
    return Call(id=f"call_{uuid.uuid4().hex[:24]}", name=said["name"], arguments=arguments)


def call_text(call: Call) -> str:
    """A call of an earlier turn, as the model would have written it."""
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
    return f'{BEGIN}{{"name": {json.dumps(call.name)}, "arguments": {arguments}}}{END}'
