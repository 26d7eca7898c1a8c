"""Questions with their right answers, as a chat model reads them: to learn from, and to be tested with.

Knows nothing about what is trained. A net is a causal language model of Transformers, with an adapter or without.
"""

from collections.abc import Sequence
from pathlib import Path

from course.evaluate import Share

SKIP, AT_ONCE = -100, 25  # a place that is neither learned nor tested; rows in one pass
Pairs = Sequence[tuple[str, str]]


class Chats:
    """The tokenizer and template of a model's folder, and what stands before every question."""

    def __init__(self, folder: Path, ask: str = ""):
        from transformers import AutoTokenizer

        self.tokenizer, self.ask = AutoTokenizer.from_pretrained(folder), ask
        self.end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def question(self, text: str):
        """The token numbers of a question, up to where the answer begins."""
        chat = [{"role": "user", "content": self.ask + text}]
        return self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)

    def rows(self, pairs: Pairs):
        """Token numbers, and beside them those of the answers alone, each row as long as the longest."""
        import torch

        parts = [(self.question(text), [*self.tokenizer(answer).input_ids, self.end]) for text, answer in pairs]
        most = max(len(question) + len(answer) for question, answer in parts)
        ids = torch.full((len(pairs), most), self.end)
        labels = torch.full_like(ids, SKIP)
        for row, (question, answer) in enumerate(parts):
            whole = len(question) + len(answer)
            ids[row, :whole] = torch.tensor(question + answer)
            labels[row, len(question) : whole] = torch.tensor(answer)
        return ids, labels

    def expected(self, net, pairs: Pairs):
        """At each place of the right answers: the logits, the right token, and a mask of where these places are."""
        ids, labels = self.rows(pairs)
        wanted = labels[:, 1:]  # a place predicts the next one
        asked = wanted != SKIP
        seen = net.get_decoder()(input_ids=ids).last_hidden_state[:, :-1]
        return net.get_output_embeddings()(seen[asked]), wanted[asked], asked

    def loss(self, net, pairs: Pairs):
        """How much the right answers surprise the model, on average for a token."""
        from torch.nn.functional import cross_entropy

        logits, wanted, _ = self.expected(net, pairs)
        return cross_entropy(logits, wanted)

    def exact(self, net, pairs: Pairs) -> Share:
        """How many answers it would write token by token as they are: in one pass, for greedy writing is right just
        when each next token is the likeliest one."""
        import torch

        right = 0
        for at in range(0, len(pairs), AT_ONCE):
            with torch.no_grad():
                logits, wanted, asked = self.expected(net, pairs[at : at + AT_ONCE])
            hit = (~asked).masked_scatter(asked, logits.argmax(-1) == wanted)
            right += int(hit.all(dim=1).sum())
        return Share(right, len(pairs))

    def says(self, net, text: str, most: int = 60) -> str:
        return self.says_all(net, [text], most)[0]

    def says_all(self, net, texts: Sequence[str], most: int = 60) -> list[str]:
        """What it answers to each. All at once: to read the weights takes most of the time, for one text or for ten."""
        import torch

        rows = [self.question(text) for text in texts]
        width = max(map(len, rows))
        ids = torch.tensor([[self.end] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        options = {"max_new_tokens": most, "do_sample": False, "pad_token_id": self.end, "eos_token_id": self.end}
        written = net.generate(ids, attention_mask=mask, **options)[:, width:]
        return [text.strip() for text in self.tokenizer.batch_decode(written, skip_special_tokens=True)]
