"""The same question to a runtime of the bundled model: its greedy answer, or the line that installs the runtime."""

from dataclasses import dataclass

from course.runtimes.contract import CAPACITY, chat_format
from course.runtimes.listing import made
from course.runtimes.process import Worker
from slmlab.chat import as_messages
from slmlab.errors import BadRequest, whole

AT_ONCE = 8  # ids asked for at a time, until one of them ends the answer
MOST = CAPACITY // 2


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


def ask(name: str, question, max_tokens: int = 64) -> Answer:
    """Ask one runtime, with the prompt's ids that every other gets; the likeliest id each time, to the answer's end."""
    whole("max_tokens", max_tokens, 1, MOST, f"a whole number from 1 to {MOST}")
    made(name)  # a name that nobody has is refused before anything starts
    form = chat_format()
    ids = form.ids(form.prompt(as_messages(question)))
    if len(ids) > MOST:
        raise BadRequest(f"The question has {len(ids):,} tokens, and at most {MOST:,} are taken here.")
    with Worker(name) as worker:
        if absent := worker.start().get("absent"):
            return Answer(name, absent, absent=absent)
        worker.ask(read=ids)
        written, new = [], [None]
        while new and len(written) < max_tokens and not form.end_ids & set(new):
            new = worker.ask(write=min(AT_ONCE, max_tokens - len(written)))["ids"]
            written += new
    end = next((position for position, id in enumerate(written) if id in form.end_ids), len(written))
    return Answer(name, form.text(written[:end]), tuple(written[:end]))
