"""Invented facts about invented places, from data/clerk.toml: what a text says of them, and how one asks for them.

Knows nothing about models or tools. "learn" and "dev" have other wordings, names and things.
"""

import calendar
import random
import re
import tomllib
from functools import cache

from slmlab.catalog import DATA

NUMBERS = "two three four five six seven eight nine ten eleven twelve".split()


def words_of(part: str) -> dict:
    """data/clerk.toml without the last fifth of each list, or, for "dev", with nothing else of it."""

    def cut(table):
        if isinstance(table, dict):
            return {key: cut(one) for key, one in table.items()}
        if not isinstance(table, list):
            return table
        if isinstance(table[0], dict):
            return [cut(one) for one in table]
        held = len(table) // 5
        return table if not held else table[-held:] if part == "dev" else table[:-held]

    return cut(_all_words())


@cache
def _all_words() -> dict:
    return tomllib.loads((DATA / "clerk.toml").read_text(encoding="utf-8"))


def plural(thing: str) -> str:
    noun, rest = re.match(r"(.+?)((?: (?:of|in) .*)?)$", thing).groups()
    if noun.endswith(("ch", "sh", "x", "s")):
        return f"{noun}es{rest}"
    if noun.endswith("f"):
        return f"{noun[:-1]}ves{rest}"
    return f"{noun[:-1]}ies{rest}" if re.search("[^aeiou]y$", noun) else f"{noun}s{rest}"


def tidy(text: str) -> str:
    """With "an" where it belongs, and a capital at the beginning."""
    text = re.sub(r"\b([Aa]) (?=[aeio]|hour)", r"\1n ", text)
    return text[:1].upper() + text[1:]


class Facts:
    """Draws facts, and the texts and questions about them, with the dice of a part."""

    def __init__(self, dice: random.Random, part: str):
        self.dice, self.words = dice, words_of(part)

    def some(self, count: int) -> list[dict]:
        """Facts of one place; some are of one kind, so that their things must be told apart."""
        facts, place = [], self.place()
        while len(facts) < count:
            kind = facts[-1]["kind"] if facts and self.dice.random() < 0.35 else self.dice.choice(self.words["fact"])
            facts += self.new(facts, kind, place)
        return facts

    def new(self, facts: list[dict], kind: dict, place: str) -> list[dict]:
        """A fact of this kind, unless its thing or its value was there before."""
        thing, (said, number) = self.dice.choice(kind["s"]), self._value(kind["v"])
        if any(thing == fact["s"] or said == fact["said"] for fact in facts):
            return []
        return [{"kind": kind, "s": thing, "said": said, "number": number, "place": place}]

    def other(self, facts: list[dict]) -> dict:
        """A fact that the text lacks, one time in five of a kind that it has: more, and the clerk says no too often."""
        kinds = [fact["kind"] for fact in facts] if self.dice.random() < 0.2 else self.words["fact"]
        for kind in self.dice.sample(kinds, len(kinds)) + self.words["fact"]:
            if new := self.new(facts, kind, facts[0]["place"]):
                return new[0]
        raise AssertionError("a text has fewer facts than there are kinds")

    def passage(self, facts: list[dict], order: str = "") -> str:
        """The facts as sentences or as a list, some with a heading, and an order for the machine among them."""
        place = facts[0]["place"]
        if self.dice.random() < 0.2:
            lines = [f"- {fact['kind']['label'].format(s=fact['s'])}: {fact['said']}" for fact in facts]
            return "\n".join([f"# {place}", *lines, *filter(None, [order])])
        said = [tidy(self.dice.choice(one["kind"]["text"]).format(s=one["s"], v=one["said"])) for one in facts]
        if order:
            said.insert(self.dice.randint(0, len(said)), order)
        begin = ("", f"# {place}\n\n", f"Welcome to the {place}. ", f"{place}: ")
        return self.dice.choice(begin) + " ".join(said)

    def question(self, fact: dict) -> str:
        return tidy(self.dice.choice(fact["kind"]["ask"]).format(s=fact["s"]))

    def order(self, often: float) -> str:
        """An order for the machine that reads a text, or none."""
        return self.dice.choice(self.words["acting"]["order"]) if self.dice.random() < often else ""

    def place(self) -> str:
        names = self.words["names"]
        return f"{self.dice.choice(names['place'])} {self.dice.choice(names['kind'])}"

    def name(self) -> str:
        names = self.words["names"]
        return f"{self.dice.choice(names['first'])} {self.dice.choice(names['last'])}"

    def money(self) -> str:
        return f"{self.dice.randint(1, 30)}.{self.dice.choice(('50', '20', '80', '25', '95', '75'))}"

    def _value(self, kind: str) -> tuple[str, str]:
        """What is said, and the number in it if one can reckon with it."""
        if kind in ("price", "count"):
            number = self.money() if kind == "price" and self.dice.random() < 0.25 else str(self.dice.randint(2, 95))
            word = NUMBERS[int(number) - 2] if number.isdigit() and int(number) <= 12 else number
            return (f"{word} {self.dice.choice(self.words['values']['unit'])}" if kind == "price" else word), number
        make = getattr(self, f"_{kind}", None)
        return self.dice.choice(make() if make else self.words["values"][kind]), ""

    def _time(self) -> list[str]:
        hour, word, minutes = self.dice.randint(1, 11), self.dice.choice(NUMBERS), self.dice.choice(("00", "15", "45"))
        clock = [f"{hour}:{minutes}", f"{hour + 12}:30", f"{hour} am", f"{hour} pm"]
        return [*clock, f"half past {word}", f"{word} o'clock"]

    def _day(self) -> list[str]:
        return list(calendar.day_name)

    def _date(self) -> list[str]:
        day, month = self.dice.randint(4, 20), self.dice.choice(list(calendar.month_name)[1:])
        return [f"{day} {month}", f"{month} {day}", f"the {day}th of {month}"]

    def _person(self) -> list[str]:
        name = self.name()
        first, last = name.split()
        return [name, name, first, f"Mrs {last}", f"Mr {last}"]

    def _phone(self) -> list[str]:
        return [f"{self.dice.randint(200, 999)} {self.dice.randint(1000, 9999)}", f"0{self.dice.randint(10**6, 10**7)}"]

    def _address(self) -> list[str]:
        return [f"{self.dice.randint(2, 99)} {self.dice.choice(self.words['names']['street'])}"]

    def _mail(self) -> list[str]:
        return [f"{self.name().split()[0].lower()}@{self.place().split()[0].lower()}.example"]

    def _span(self) -> list[str]:
        many = self.dice.choice([*NUMBERS, "15", "20", "45", "90"])
        return [f"{many} {unit}" for unit in ("minutes", "hours", "days", "weeks", "months")]

    def _weight(self) -> list[str]:
        return [f"{self.dice.randint(2, 60)} kilos", f"{self.dice.choice(NUMBERS)} kilos"]

    def _distance(self) -> list[str]:
        return [f"{self.dice.randint(2, 30)} km", f"{self.dice.randint(2, 9)}00 metres", f"{self.money()[:-1]} km"]

    def _length(self) -> list[str]:
        return [f"{self.dice.randint(2, 90)} metres", f"{self.dice.choice(NUMBERS)} metres"]

    def _code(self) -> list[str]:
        return [f"{self.dice.randint(1000, 9999)}", f"{self.name().split()[1].lower()}-{self.dice.randint(10, 99)}"]

    def _degrees(self) -> list[str]:
        return [f"{self.dice.randint(2, 95)} degrees", f"minus {self.dice.choice(NUMBERS)} degrees"]

    def _year(self) -> list[str]:
        return [str(self.dice.randint(1480, 2025))]

    def _amount(self) -> list[str]:
        return [
            f"{self.dice.randint(2, 90)}0 grams",
            f"{self.dice.choice(NUMBERS)} {self.dice.choice(('spoons', 'cups'))}",
        ]
