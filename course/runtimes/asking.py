"""The same question to a runtime of the bundled model: its greedy answer, or the line that installs the runtime."""

from dataclasses import dataclass
from pathlib import Path

from course.runtimes.contract import CAPACITY, chat_format
from course.runtimes.listing import made
from course.runtimes.racing import cores
from course.runtimes.worker import Worker
from slmlab.chat import as_messages
from slmlab.errors import BadRequest

AT_ONCE = 8  # ids asked for at a time, until one of them ends the answer


@dataclass(frozen=True)
class Answer:
    """What a runtime says: `text`, made of `ids`. Where it isn't here, `absent` is what it would take, as `text` is."""

    name: str
    text: str
    ids: tuple[int, ...] = ()
    absent: str | None = None

    def __str__(self):
        return self.text

    def __repr__(self):
        return f"{self.name}: {self.text}"


def ask(name: str, question, max_tokens: int = 64, *, file: Path | None = None) -> Answer:
    """Ask one runtime, with the prompt's ids that every other gets; the likeliest id each time, to the answer's end.

    `file` is another GGUF file of the same model, for a runtime that reads one.
    """
    if type(max_tokens) is not int or not 1 <= max_tokens <= CAPACITY // 2:
        raise BadRequest(f"max_tokens={max_tokens!r}: a whole number from 1 to {CAPACITY // 2}.")
    made(name, file)  # a name that nobody has, or a file for one that reads none, is refused before anything starts
    form = chat_format()
    ids = form.ids(form.prompt(as_messages(question)))
    if len(ids) > CAPACITY // 2:
        raise BadRequest(f"The question has {len(ids):,} tokens, and at most {CAPACITY // 2:,} are taken here.")
    with Worker(name, cores(), file) as worker:
        told = worker.start()
        if told.get("absent"):
            return Answer(name, told["absent"], absent=told["absent"])
        written: list[int] = []
        asked = {"read": ids}
        while len(written) < max_tokens and not form.end_ids & set(written):
            new = worker.ask(**asked, write=min(AT_ONCE, max_tokens - len(written)))["ids"]
            written, asked = written + new, {}
            if not new:  # the runtime ended the answer itself
                break
    end = next((place for place, id in enumerate(written) if id in form.end_ids), len(written))
    return Answer(name, form.text(written[:end]), tuple(written[:end]))
