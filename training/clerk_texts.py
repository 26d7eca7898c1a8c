"""The clerk's three jobs as chats that a seed makes: a shop's messages, steps of acting, questions about a text.

Knows nothing about models. A chat is a list of messages, and every message of the assistant is to be learned.
"""

import calendar
import json
import random
import re
import tomllib

from course.acting import calculator
from course.making import tickets
from slmlab.catalog import DATA
from training.clerk_facts import NUMBERS, Facts, plural, tidy

ASK = "Turn this message into JSON with name, order, item, problem and wish.\n\n"  # as in lesson 11
READ = "Text: {}\n\nQuestion: {}\nAnswer in a few words from the text, or say: not in the text."
QUIET = """a about all also am an and any are as at be by can do does each for from get give go has have how i if in
into is it its me much many must my need of on one or our out please should so some take tell that the their them there
they this to us want was we what when where which who whom whose will with would you your""".split()
SHARES = (3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75)
Chat = list[dict[str, str]]


def looked_for(question: str) -> str:
    """The words of a question that tell something."""
    return " ".join(word for word in re.findall(r"[\w:'-]+", question) if word.lower() not in QUIET)


class Writer:
    """Chats of the three jobs, the same for the same seed and part: "learn", or "dev" with words of its own."""

    def __init__(self, seed, part: str = "learn"):
        self.dice, self.part = random.Random(f"{part} {seed}"), part
        self.facts = Facts(self.dice, part)
        self.words = self.facts.words
        self.system = tomllib.loads((DATA / "acting.toml").read_text(encoding="utf-8"))["system"]

    def tickets(self, count: int) -> list[Chat]:
        """Lesson 11's messages. Those of its test are never used: "dev" has other ones of "learn"."""
        seed = self.dice.randrange(10**9) * 2 + (self.part == "dev")
        return [_chat(ASK + text, answer) for text, answer in tickets(count, seed, of="learn")]

    def readings(self, count: int) -> list[Chat]:
        """Questions about one text, one in eight of which it does not answer. Some texts are of two places."""
        facts = self.facts.some(self.dice.randint(2, 5))
        texts, asked = [self.facts.passage(facts, self.facts.order(0.1))], self.dice.sample(facts, len(facts))
        others = [one for one in self.facts.some(3) if one["s"] not in [fact["s"] for fact in facts]]
        if others and self.dice.random() < 0.4:
            texts.insert(self.dice.randint(0, 1), self.facts.passage(others))
            asked, facts = self.dice.sample(asked + others, len(asked + others)), facts + others
        text, chats = "\n\n".join(texts), []
        for at in range(count):
            missing = self.dice.random() < 0.125
            fact = self.facts.other(facts) if missing else asked[at % len(asked)]
            answer = "not in the text" if missing else fact["said"]
            chats.append(_chat(READ.format(text, self.facts.question(fact)), answer))
        return chats

    def acting(self, count: int) -> list[Chat]:
        """Whole conversations, from the request to the answer."""
        ways = {self._sum: 26, self._clock: 9, self._search: 30, self._search_and_sum: 25, self._plain: 10}
        return [way() for way in self.dice.choices(list(ways), list(ways.values()), k=count)]

    def _steps(self, request: str, *steps: tuple[str, str], end: str) -> Chat:
        """The request; each call with its result; the answer."""
        chat = [{"role": "system", "content": self.system}, {"role": "user", "content": request}]
        for call, result in steps:
            chat += [{"role": "assistant", "content": call}, {"role": "user", "content": f"Result: {result}"}]
        return [*chat, {"role": "assistant", "content": _call("answer", end)}]

    def _sum(self) -> Chat:
        dice, kind = self.dice, self.dice.choice(self.words["sum"])
        b, (small, large, many) = dice.randint(2, 60), dice.choice(self.words["units"]["pairs"])
        fields = {
            "a": dice.randint(61, dice.choice((100, 999, 4000))), "b": b, "c": dice.randint(2, 20), "d": many,
            "e": small, "f": large, "q": b * dice.randint(2, 80), "r": dice.choice(SHARES), "m": self.facts.money(),
            "n": self._first_name(), "i": dice.choice(self.words["things"]["i"]),
        }  # fmt: skip
        sum = kind["sum"].format(**fields)
        request, result = dice.choice(kind["ask"]).format(**fields), calculator(sum)
        return self._steps(request, (_call("calculator", sum), result), end=result)

    def _clock(self) -> Chat:
        dice, what = self.dice, self.dice.choice(list(self.words["clock"]))
        date = f"{dice.randint(2024, 2031)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"
        shown = {"date": date, "time": f"{dice.randint(0, 23):02}:{dice.randint(0, 59):02}"}
        result = shown.get(what) or dice.choice(list(calendar.day_name))
        return self._steps(dice.choice(self.words["clock"][what]), (_call("clock", what), result), end=result)

    def _plain(self) -> Chat:
        request, answer = self.dice.choice(self.words["plain"]["pairs"])
        return self._steps(request, end=answer)

    def _search(self) -> Chat:
        """A fact from the notes; one in six is not there, and then the search finds another text or nothing."""
        facts = self.facts.some(self.dice.randint(1, 5))
        missing = self.dice.random() < 0.16
        fact = self.facts.other(facts) if missing else self.dice.choice(facts)
        question = self._placed(self.facts.question(fact), fact["place"])
        words, result = looked_for(question), self._result(facts)
        if missing and self.dice.random() < 0.4:
            result = self.dice.choice(self.words["acting"]["nothing"]).format(w=words)
        end = self.words["acting"]["absent"] if missing else fact["said"]
        return self._steps(self._lead() + question, (_call("search", words), result), end=end)

    def _search_and_sum(self) -> Chat:
        """A price or a number from the notes, and then a sum with it."""
        kind = self.dice.choice([kind for kind in self.words["fact"] if kind.get("each")])
        facts = self.facts.some(self.dice.choice((1, 1, 2)))
        while not (told := [fact for fact in facts if fact["kind"] is kind]) or self.dice.random() < 0.4:
            facts += self.facts.new(facts, kind, facts[0]["place"])
        way, sum, fields = self._reckoned(told, kind["v"])
        asked = self.dice.choice(self.words["acting"][way]).replace("{s}s", plural(fields["s"])).format(**fields)
        found = [fields["s"], fields["t"]] if way == "both" else [fields["s"]]
        words = " ".join([*found, "price" if kind["v"] == "price" else "number"])
        self.dice.shuffle(facts)
        steps = (_call("search", words), self._result(facts)), (_call("calculator", sum), calculator(sum))
        request = self._lead() + self._placed(tidy(asked) + "?", facts[0]["place"])
        return self._steps(request, *steps, end=calculator(sum))

    def _reckoned(self, told: list[dict], kind: str) -> tuple[str, str, dict]:
        """What is asked about prices or numbers of the notes: the way, the sum, and the words of the request."""
        one, k = told[-1], self.dice.randint(2, 30)
        fields = {"s": one["s"], "t": told[0]["s"], "n": self._first_name(), "u": one["said"].split()[-1]}
        if kind == "price" and len(told) > 1 and self.dice.random() < 0.4:
            return "both", f"{one['number']} + {told[0]['number']}", fields
        if kind == "price" and self.dice.random() < 0.25:
            k = self.dice.choice((100, 120, 150, 200, 250, 500))
            return "left", f"{k} - {one['number']}", fields | {"k": k}
        spoken = NUMBERS[k - 2] if k <= 12 and self.dice.random() < 0.5 else k
        return ("each" if kind == "price" else "many"), f"{k} * {one['number']}", fields | {"k": spoken}

    def _result(self, facts: list[dict]) -> str:
        """What the search finds: a file's name and a paragraph of it, one in five with an order for the machine."""
        name = re.sub(r"\W+", "-", self.dice.choice((facts[0]["place"], facts[0]["s"])).lower())
        return f"{name}.md: {self.facts.passage(facts, self.facts.order(0.2))}"

    def _placed(self, question: str, place: str) -> str:
        """A question with or without its place."""
        at = self.dice.choice(self.words["acting"]["at"]).format(p=place) if self.dice.random() < 0.4 else ""
        return question[:-1] + at + question[-1]

    def _lead(self) -> str:
        return self.dice.choice(self.words["acting"]["lead"])

    def _first_name(self) -> str:
        return self.dice.choice(self.words["names"]["first"])


def _chat(question: str, answer: str) -> Chat:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _call(tool: str, text: str) -> str:
    return json.dumps({"tool": tool, "input": text}, ensure_ascii=False)
