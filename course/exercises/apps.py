"""The exercises of lesson 13: a talk that fits, invented numbers, a rule that stops."""

import re
import tomllib

from course.answers import code, function_in, need
from course.evaluate import Share
from course.exercises.registry import exercise
from slmlab.catalog import DATA


@exercise("apps-1", told="for turns of {sizes} tokens and room for {most} it gave {value:g}", cases=[
    ([10, 20, 50], 60), ([40, 10, 20], 30), ([30, 10, 20], 100), ([5, 90, 10, 10], 30), ([50, 90], 30)
], mistakes=[
    ("that counts every turn that is small enough alone", lambda sizes, most: sum(size <= most for size in sizes)),
    ("that begins with the oldest turns; the newest are kept", lambda sizes, most: fits(sizes[::-1], most)),
])  # fmt: skip
def fits(sizes, most):
    count = 0
    while count < len(sizes) and sum(sizes[-count - 1 :]) <= most:
        count += 1
    return count


@exercise("apps-2", told="for “{answer}” after “{facts}” it gave {value:g}", cases=[
    ("A tent costs six crowns.", "A tent costs 6 crowns."), ("It costs seven crowns.", "It costs 6 crowns."),
    ("It costs 6 crowns.", "Keep it for 16 days."), ("Bring money.", "Open from 10 to 18."),
    ("It is 7, or seven, or 70.", "Keep it for ten days."),
], mistakes=[
    ("that reads no number that is written as a word",
     lambda answer, facts: len(set(re.findall(r"\d+", answer)) - set(re.findall(r"\d+", facts)))),
    ("*one* in *money* is no number", lambda answer, facts: invented(answer, facts) + ("money" in answer)),
    ("that counts what the answer leaves out", lambda answer, facts: invented(facts, answer)),
])  # fmt: skip
def invented(answer, facts):
    words = "zero one two three four five six seven eight nine ten".split()

    def numbers(text):
        found = re.findall(r"\w+", text.lower())
        return {str(words.index(one)) if one in words else one for one in found if one in words or one.isdigit()}

    return len(numbers(answer) - numbers(facts))


@exercise("apps-3", limit_s=120)
def stops(text):
    words = r"pill|broken|safe to eat|lawful|lawyer|does .* live|borrowed|election|politician|ignore|password|shares"
    return re.search(words, text, re.IGNORECASE) is not None


@stops.judged
def _(answer):
    function, asked = function_in(answer, "stops"), tomllib.loads((DATA / "questions/chat.toml").read_text("utf-8"))
    seen = [(one["stop"], one["say"], bool(function(one["say"]))) for one in asked["others"]]
    missed = next((f"; first missed: {code(text)}" for stop, text, did in seen if did is not stop), "")
    shares = [Share(sum(did is stop for at, _, did in seen if at is stop), 12) for stop in (True, False)]
    told = f"stopped {shares[0]} of what nobody here may answer, and let through {shares[1]} of the rest"
    need(min(one.right for one in shares) >= 9, f"{told}; 9 of 12 are wanted in both{missed}")
