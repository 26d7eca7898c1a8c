"""The bundled model on every runtime: a question to each, a race over them, and who is there.

A runtime is a small file with the contract of `contract.Runtime`, a row in `listing.RUNTIMES` and its facts in
data/runtimes.toml. No module is called as a function here: importing it would take the function's place.
"""

from course.runtimes import plots
from course.runtimes.choice import shortlist
from course.runtimes.listing import made as answers
from course.runtimes.listing import roster
from course.runtimes.ollama import recipe
from course.runtimes.racing import ask, race

__all__ = ["answers", "ask", "plots", "race", "recipe", "roster", "shortlist"]
