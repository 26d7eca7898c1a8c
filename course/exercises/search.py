"""The exercises of lesson 14: recall at k, passages of whole sentences, questions that words miss and meaning finds."""

import re
from collections.abc import Mapping

from course.answers import code, function_in, need, returned, shown
from course.exercises.registry import exercise

_QUESTIONS, _LONG = 5, 5  # questions of one's own; a word of so many letters must not stand in the note


@exercise("search-1", told="for the places {places} and k = {k} it gave {value:.2g}",
          otherwise=", and {right:.2g} is right", cases=[
    ([1, 3, 2, 7], 3), ([1, 3, None, 2], 3), ([2, 2, 1], 1), ([None, None], 5), ([4, 1, 9, 5, 2], 5)
], mistakes=[
    ("that counts place `k` alone", lambda places, k: sum(place == k for place in places) / len(places)),
    ("place 3 is among the first 3", lambda places, k: sum((place or 99) < k for place in places) / len(places)),
    ("divide by all questions, also those without a place",
     lambda places, k: sum((place or 99) <= k for place in places) / max(1, len(places) - places.count(None))),
])  # fmt: skip
def recall_at(places, k):
    found = [place for place in places if place is not None and place <= k]
    return len(found) / len(places)


_FOUR = ["It is old.", "It cracked in 1929.", "Now it is silent.", "Odile strikes."]


@exercise("search-2", reads=returned, told="for {sentences} and at most {most} words it gave {shown}",
          otherwise=", and {right} is right", cases=[
    (_FOUR, 8), (_FOUR, 7), (["One two three four five.", "Six.", "Seven."], 3)
], mistakes=[
    ("join sentences as long as the words are few enough", lambda sentences, most: sentences),
    ("this piece has too many words", lambda sentences, most: [" ".join(sentences)]),
    ("a piece may have exactly `most` words", lambda sentences, most: pieces(sentences, most - 1)),
])  # fmt: skip
def pieces(sentences, most):
    found = sentences[:1]
    for one in sentences[1:]:
        joined = f"{found[-1]} {one}"
        if len(joined.split()) <= most:
            found[-1] = joined
        else:
            found.append(one)
    return found


own = exercise("search-3", limit_s=60)()


@own.judged
def _(answer):
    need(isinstance(answer, tuple) and len(answer) == 3, f"hand over `(notes, best, mine)`, not {shown(answer)}")
    notes, find, mine = answer
    need(isinstance(notes, Mapping) and isinstance(mine, list), "`notes` is your folder, and `mine` a list of pairs")
    count = len(dict(mine))
    need(count >= _QUESTIONS, f"you have {count} question{'s' * (count != 1)}; {_QUESTIONS} are needed")
    missed = []
    for question, name in mine:
        need(name in notes, f"there is no note {code(str(name))}; there are: {', '.join(list(notes)[:12])}")
        same = {one for one in _words(question) & _words(notes[name]) if len(one) >= _LONG}
        need(not same, f"`{min(same, default='')}` stands in {name} too; ask {code(question)} in other words")
        first = function_in(find, "best")(question)[0][0]
        if first != name:
            missed.append(f"{code(question)} leads to {first}")
    found, asked = len(mine) - len(missed), len(mine)
    need(found >= 0.8 * asked, f"{found} of {asked} find their note first: {'; '.join(missed)}")


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
