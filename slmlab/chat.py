"""Messages to prompt text, text to ids, ids back to text: with the model's own template and tokenizer.

Gives the same ids to every engine. Knows nothing about engines: it reads the files beside a model's weights.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace

from slmlab.errors import BadRequest, NotHere, quoted
from slmlab.pictures import as_pictures
from slmlab.records import Message


@dataclass(frozen=True)
class TokenPiece:
    """One token of a text as the model sees it: its id, and the text it stands for (� for part of a character)."""

    id: int
    text: str

    def __str__(self):
        return self.text


def as_messages(question, system: str | None = None, images=None) -> list[Message]:
    """A question, a Message or a list of Messages or dicts, as Messages that end with the user's and its pictures."""
    if isinstance(question, str | Message | dict):
        question = [Message("user", question) if isinstance(question, str) else question]
    try:
        messages = [one if isinstance(one, Message) else Message(**one) for one in question]
    except TypeError as fault:
        known = "text or a list of messages, and a message is Message(role, content) or a dict with these two keys"
        raise BadRequest(f"A question is {known}, not {quoted(question)}.") from fault
    if system is not None:
        messages = [Message("system", system), *messages]
    if messages and images is not None:
        messages[-1] = replace(messages[-1], images=(*messages[-1].images, *as_pictures(images)))
    if not messages or not (messages[-1].content.strip() or messages[-1].images):
        raise BadRequest("The question is empty. Write something for the model to answer.")
    if messages[-1].role != "user":
        last = f"The last message is the {messages[-1].role}'s."
        raise BadRequest(f"{last} A conversation to answer ends with the user's.")
    return messages


class ChatFormat:
    """The tokenizer and chat template in a model's folder."""

    def __init__(self, folder: Path):
        from tokenizers import Tokenizer

        self.folder = folder
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            settings = _read(folder / "tokenizer_config.json")
            marks = {name: settings.get(name) or "" for name in ("bos_token", "eos_token")}
            self._marks = {name: mark["content"] if isinstance(mark, dict) else mark for name, mark in marks.items()}
            self.end_ids = self._find_end_ids()
        except Exception as fault:  # the tokenizer's Rust code raises bare Exception, and damaged JSON fails in any way
            raise NotHere(f"The tokenizer in {folder} can't be read: {fault}. Fetch the model again.") from fault
        self.all_marks = {one.content for one in self._tokenizer.get_added_tokens_decoder().values() if one.special}
        self.vocabulary = self._tokenizer.get_vocab_size()
        beside = folder / "chat_template.jinja"
        self.template = beside.read_text("utf-8") if beside.is_file() else settings.get("chat_template")

    def _find_end_ids(self) -> frozenset[int]:
        """Every id that ends an answer: models name several, in up to three files."""
        # <|endoftext|> ends a document in every family of this course
        found = [self._tokenizer.token_to_id(name) for name in (self._marks["eos_token"], "<|endoftext|>")]
        for name in ("generation_config.json", "config.json", "genai_config.json"):
            settings = _read(self.folder / name)
            value = settings.get("model", settings).get("eos_token_id")
            found += value if isinstance(value, list) else [value]
        return frozenset(id for id in found if id is not None)

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text the model is given for these messages, ready for its answer."""
        if self.template is None:
            why = f"The model in {self.folder} has no chat template: it completes text and was not taught to chat."
            raise BadRequest(f"{why} Use .complete(text), or a model whose name ends in -instruct.")
        asked = messages[-1].content.strip()
        plain = self._rendered([{"role": one.role, "content": one.content} for one in messages])
        if asked in plain:
            return plain
        # Some templates of models that see know content only as a list of parts: a plain text vanishes in silence.
        with suppress(BadRequest):  # a template of plain texts that changes them doesn't know parts
            parts = [{"role": one.role, "content": [{"type": "text", "text": one.content}]} for one in messages]
            if asked in (apart := self._rendered(parts)):
                return apart
        return plain

    def _rendered(self, messages: list[dict]) -> str:
        try:
            return _compile(self.template).render(messages=messages, add_generation_prompt=True, **self._marks)
        except Exception as fault:  # a template is a program that came with the model and may fail in any way
            raise BadRequest(f"The model's chat template refuses these messages: {fault}") from fault

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The ids of the prompt. A mark such as <|im_end|> in somebody's text stays text: it ends no turn."""
        marks = self.marks_in(messages)
        if not marks:
            return self.ids(self.prompt(messages))
        pattern = re.compile("|".join(map(re.escape, marks)))
        # The template sees letters of the private area in their place, and each part is read apart.
        texts = [one.content.replace("\uf8f0", "\ufffd") for one in messages]
        hidden = [pattern.sub(lambda found: f"\uf8f0{marks.index(found[0])}\uf8f1", text) for text in texts]
        prompt = self.prompt([replace(one, content=text) for one, text in zip(messages, hidden, strict=True)])
        first, *rest = re.split("\uf8f0(\\d+)\uf8f1", prompt)
        ids = self.ids(first)
        for number, text in zip(rest[::2], rest[1::2], strict=True):
            ids += self.text_ids(marks[int(number)])
            ids += self._encode(text, add_special_tokens=False).ids
        return ids

    def marks_in(self, messages: Sequence[Message]) -> list[str]:
        """The marks that stand in somebody's text, the longest first."""
        found = (mark for mark in self.all_marks if any(mark in one.content for one in messages))
        return sorted(found, key=len, reverse=True)

    def text_ids(self, text: str) -> list[int]:
        return self._as_text.encode(text, add_special_tokens=False).ids

    @cached_property
    def _as_text(self):
        from tokenizers import Tokenizer

        plain = Tokenizer.from_str(self._tokenizer.to_str())
        plain.encode_special_tokens = True
        return plain

    @cached_property
    def constraint_tokens(self):
        from llguidance import LLTokenizer

        return LLTokenizer(str(self.folder / "tokenizer.json"), eos_token=sorted(self.end_ids))

    def ids(self, text: str) -> list[int]:
        """The ids of a text, with a beginning-of-text id where the model's tokenizer wants one."""
        return self._encode(text).ids

    def pieces(self, text: str) -> list[TokenPiece]:
        return [self.piece(id) for id in self._encode(text, add_special_tokens=False).ids]

    def _encode(self, text: str, **options):
        try:
            return self._tokenizer.encode(text, **options)
        except TypeError as fault:
            raise BadRequest("No model reads this: it is no text, or a text with half a character.") from fault

    def piece(self, id: int) -> TokenPiece:
        return TokenPiece(id, self.marked([id]))

    def text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids))

    def marked(self, ids: Sequence[int]) -> str:
        """The text of ids with those that stand for no text, such as <|user|>."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def reader(self, with_marks: bool = False):
        """`.read(id)` gives the text of ids one by one; a character of several tokens comes whole with its last."""
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=not with_marks)
        return SimpleNamespace(read=lambda id: stream.step(self._tokenizer, id) or "")


class StopWatcher:
    """Holds back text that may be the beginning of a stop text, and says when one is complete."""

    def __init__(self, stops: Sequence[str]):
        self._stops, self.held, self.stopped = stops, "", False

    def read(self, text: str) -> str:
        text = self.held + text
        ends = [text.index(stop) for stop in self._stops if stop in text]
        sizes = [(stop, size) for stop in self._stops for size in range(min(len(stop), len(text) + 1))]
        begun = [len(text) - size for stop, size in sizes if text.endswith(stop[:size])]
        shown, self.stopped = min(ends or begun, default=len(text)), bool(ends)
        self.held = "" if ends else text[shown:]
        return text[:shown]


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@cache
def _compile(source: str):
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message):
        raise TemplateError(message)

    # as Transformers sets it up: templates are written for these names
    loops = ["jinja2.ext.loopcontrols"]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=loops)
    environment.globals.update(raise_exception=refuse, strftime_now=lambda pattern: datetime.now().strftime(pattern))
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    return environment.from_string(source)
