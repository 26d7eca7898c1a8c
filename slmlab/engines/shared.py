"""A model that a class's one endpoint answers for, while the kernel of a learner holds no weights.

What looks inside (logits, completions, a beam search) opens them here, when it is first wanted.
"""

from slmlab.engines.local import LocalEngine
from slmlab.engines.remote import RemoteEngine
from slmlab.errors import BadRequest
from slmlab.records import Message, Reply, Sampling


class SharedEngine(LocalEngine):
    """Asks `remote`; prompts and tokens need the tokenizer of the folder alone; `opened` gives the engine here."""

    engine = "shared"

    def __init__(self, plan, remote: RemoteEngine, opened):
        super().__init__(plan.card, plan.folder, plan.precision)
        self.context, self.remote, self._opened = plan.card.context, remote, opened

    def _answer(self, messages: list[Message], sampling: Sampling, on_end) -> Reply:
        try:
            return self.remote._answer(messages, sampling, on_end)
        except BadRequest:  # beams, top_k, a scorer: OpenAI's protocol has no word for them
            return super()._answer(messages, sampling, on_end)

    def __getattr__(self, name: str):
        if name not in ("session", "logits", "forward", "exclusive", "threads", "device", "_beams"):  # no slip opens it
            raise AttributeError(f"A shared model has no {name}.")
        if "_inside" not in vars(self):
            print(f"{self.name} is opened here too: this looks inside it.")
            self._inside = self._opened()
        return getattr(self._inside, name)

    def close(self) -> None:
        super().close()
        self.remote.close()
        if "_inside" in vars(self):
            self._inside.close()
