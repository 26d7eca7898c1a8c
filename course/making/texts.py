"""Texts to learn from: stories and tickets that a seed makes, and a reader's own examples. No model is asked."""

import json
import random
import tomllib
from functools import cache

from slmlab.catalog import DATA


@cache
def _words(name: str) -> dict:
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


def stories(count: int, seed: int = 0) -> list[str]:
    """Little stories of five or six sentences, the same for the same seed."""
    dice, words = random.Random(seed), _words("stories")
    return [_story(dice, words) for _ in range(count)]


def _story(dice: random.Random, words: dict) -> str:
    she, he = dice.choice(("she", "he")), dice.choice(("she", "he"))
    people = {"she": words["women"], "he": words["men"]}
    a = dice.choice(people[she])
    b = dice.choice([name for name in people[he] if name != a])
    thing, feeling = dice.choice(list(words["use"])), dice.choice(list(words["does"]))
    place, place2 = dice.sample(words["place"], 2)
    her, his = ({"she": "her", "he": "his"}[one] for one in (she, he))
    does = dice.choice(words["does"][feeling])
    fields = {key: dice.choice(words[key]) for key in ("when", "colour", "animal", "number")}
    fields |= {"a": a, "b": b, "place": place, "place2": place2, "thing": thing, "use": words["use"][thing]}
    fields |= {"she": she, "She": she.title(), "he": he, "He": he.title(), "him": {"she": "her", "he": "him"}[he]}
    fields |= {"feeling": feeling, "does": does.format(her=her), "his_does": does.format(her=his)}
    return dice.choice(words["stories"]).format(**fields)


def tickets(count: int, seed: int = 0, of: str = "learn") -> list[tuple[str, str]]:
    """A shop's messages, each with the JSON it should become. Those of "test" share no name, thing or phrase with
    those of "learn"."""
    dice, words = random.Random(seed), _words("tickets")[of]
    return [_ticket(dice, words) for _ in range(count)]


def _ticket(dice: random.Random, words: dict) -> tuple[str, str]:
    name = f"{dice.choice(words['first'])} {dice.choice(words['last'])}"
    item, order = dice.choice(words["item"]), dice.randint(10_000, 99_999)
    problem, wish = dice.choice(list(words["problem"])), dice.choice(list(words["wish"]))
    said = {"k": dice.choice(words["problem"][problem]), "w": dice.choice(words["wish"][wish])}
    text = dice.choice(words["message"]).format(n=name, i=item, o=order, **said)
    record = {"name": name, "order": order, "item": item, "problem": problem, "wish": wish}
    return text, json.dumps(record)
