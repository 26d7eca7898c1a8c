"""Microsoft's Foundry Local: what it takes, and what this machine answers. It runs nothing here.

Its SDK brings ONNX Runtime GenAI of its own in fixed versions, so it goes into an environment of its own.
"""

import shutil
from pathlib import Path

from course.runtimes.contract import Runtime
from course.runtimes.facts import this_platform


class FoundryLocal(Runtime):
    id = "foundry-local"

    def __init__(self, file: Path | None = None):
        super().__init__(file)

    def need(self) -> str:
        return (
            f"An environment of its own, for it pins another onnxruntime than the course's; there "
            f"{self.facts.install_line()}; and a network, once, for its catalog. This machine: {this_platform()}."
        )

    def answers(self) -> list[tuple[str, str]]:
        found = "on the PATH" if shutil.which("foundry") else "not on the PATH"
        return [*super().answers(), ("the older command `foundry`", found)]


RUNTIMES = {"foundry local": FoundryLocal}
