"""The clerk: a LoRA of the bundled model for three jobs. A shop's messages, one step of acting, an answer from a text.

python -m training.clerk train      a quarter of an hour on two free cores; stopped, the same command goes on
python -m training.clerk measure    how many of the held-out chats it would write as they are, and what it forgot
python -m training.clerk export     the adapter, into data/models/smollm2-clerk
"""

import argparse
import json
import math
import warnings
from os.path import commonprefix

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from course import inside, making
from course.evaluate import Share
from slmlab import weights
from slmlab.catalog import DATA
from training.clerk_texts import Chat, Writer

STEPS, RATE = 180, 0.002
KINDS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPE = LoraConfig(r=8, lora_alpha=16, target_modules=KINDS, layers_to_transform=list(range(15, 30)))
BASE, TARGET = "HuggingFaceTB/SmolLM2-135M-Instruct", DATA / "models" / "smollm2-clerk"


class Clerk:
    """The bundled model with a detour, and the tokens of chats."""

    def __init__(self):
        folder = weights.folder("smollm2-135m", "transformers")
        torch.manual_seed(0)
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        self.net = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), SHAPE)

    def row(self, chat: Chat) -> list[tuple[int, bool]]:
        """Each token, and whether it is the assistant's, which is learned."""
        tokens: list[tuple[int, bool]] = []
        for message in chat:
            said = (f"{message['content']}<|im_end|>", message["role"] == "assistant")
            parts = (f"<|im_start|>{message['role']}\n", False), said, ("\n", False)
            tokens += [(id, learned) for text, learned in parts for id in self.tokenizer(text).input_ids]
        return tokens

    def logits(self, chats: list[Chat]):
        """At each token of the assistant's: the logits and the right token, and the number of its chat.

        All chats go through the model as one row. What they begin with alike is read once; after it, each chat sees
        the beginning and itself, at the places that it would have alone.
        """
        rows = [self.row(chat) for chat in chats]
        shared = len(commonprefix(rows)) if len(rows) > 1 else 0
        tails = [row[shared:] for row in rows]
        tokens = rows[0][:shared] + [token for tail in tails for token in tail]
        chat = torch.tensor([-1] * shared + [at for at, tail in enumerate(tails) for _ in tail])
        place = torch.tensor([*range(shared), *(shared + at for tail in tails for at in range(len(tail)))])
        ids = torch.tensor([id for id, _ in tokens])
        sees = ((chat[:, None] == chat) | (chat == -1)).tril()[None, None]
        decoder = self.net.base_model.model.model
        seen = decoder(input_ids=ids[None], position_ids=place[None], attention_mask=sees).last_hidden_state[0]
        asked = torch.tensor([learned for _, learned in tokens])
        before = asked.nonzero()[:, 0] - 1  # a place predicts the next one
        return self.net.get_output_embeddings()(seen[before]), ids[asked], chat[asked]

    def loss(self, step: int):
        """Of a step's new chats: a mean over all tokens of the assistant's, each of the same weight."""
        groups = [self.logits(chats) for chats in groups_of(Writer(step))]
        logits, wanted = (torch.cat([group[part] for group in groups]) for part in (0, 1))
        return cross_entropy(logits, wanted)

    @torch.no_grad()
    def exact(self, chats: list[Chat]) -> Share:
        """How many it would write as they are: the likeliest token is the right one at each place."""
        logits, wanted, chat = self.logits(chats)
        wrong = chat[logits.argmax(-1) != wanted].unique()
        return Share(len(chats) - len(wrong), len(chats))

    @torch.no_grad()
    def perplexity(self) -> float:
        """Of lesson 11's story."""
        ids = self.tokenizer(inside.domain_texts()["English"], return_tensors="pt").input_ids[:, :600]
        return math.exp(self.net(input_ids=ids, labels=ids).loss)


def groups_of(writer: Writer) -> list[list[Chat]]:
    """Groups of chats that begin alike: what one step learns."""
    return [writer.acting(4), writer.readings(4), writer.tickets(1)]


def train() -> Clerk:
    clerk = Clerk()
    making.train("smollm2-clerk", clerk.net, clerk.loss, steps=STEPS, rate=RATE, tokens=620)
    return clerk


def measure(clerk: Clerk, groups: int = 25) -> dict:
    """Of held-out chats, four a group and job. A conversation is exact when each of its calls is."""
    found = {job: Share(0, 0) for job in ("tickets", "acting", "readings")}
    for seed in range(groups):
        writer = Writer(seed, "dev")
        for job, before in found.items():
            one = clerk.exact(getattr(writer, job)(4))
            found[job] = Share(before.right + one.right, before.asked + one.asked)
    return found | {"perplexity": round(clerk.perplexity(), 1)}


def export(clerk: Clerk) -> None:
    clerk.net.peft_config["default"].base_model_name_or_path = BASE
    clerk.net.to(torch.bfloat16).save_pretrained(TARGET, save_embedding_layers=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "measure", "export"))
    warnings.filterwarnings("ignore", module="peft|transformers")
    what, clerk = parser.parse_args().what, train()
    if what == "measure":
        print(json.dumps({job: str(share) for job, share in measure(clerk).items()}, indent=1))
    if what == "export":
        export(clerk)
