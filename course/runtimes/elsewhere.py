"""Two runtimes that run nothing here: what each would take, and what this machine answers to that.

Foundry Local's SDK brings an ONNX Runtime of its own, so it wants an environment of its own. QNN's NPU wants a graph
with fixed shapes, quantized with QDQ nodes and compiled for it; the bundled model isn't that.
"""

import shutil
from functools import cache

from course.runtimes.contract import Runtime, this_platform

QNN = "QNNExecutionProvider"


class FoundryLocal(Runtime):
    id = "foundry-local"

    def need(self) -> str:
        return (
            f"An environment of its own, for it pins another onnxruntime than the course's; there "
            f"{self.install_line()}; and a network, once, for its catalog. This machine: {this_platform()}."
        )

    def answers(self) -> list[tuple[str, str]]:
        found = "on the PATH" if shutil.which("foundry") else "not on the PATH"
        return [*super().answers(), ("the older command `foundry`", found)]


class Qnn(Runtime):
    id = "qnn"

    def need(self) -> str:
        return (
            f"A Snapdragon with an NPU, {self.install_line()}, and the model quantized with QDQ nodes and "
            f"compiled into a context binary. This machine: {this_platform()}, whose onnxruntime offers {_offered()}."
        )

    def answers(self) -> list[tuple[str, str]]:
        return [*super().answers(), ("execution providers of onnxruntime", _offered()), ("NPU that QNN sees", _npu())]


def _offered() -> str:
    from onnxruntime import get_available_providers

    return " and ".join(get_available_providers())


@cache  # a plugin is registered once
def _npu() -> str:
    """The NPU, asked of QNN's own plugin where it is installed."""
    import onnxruntime

    try:
        import onnxruntime_qnn

        onnxruntime.register_execution_provider_library(QNN, onnxruntime_qnn.get_library_path())
    except ImportError:
        return "nobody to ask: onnxruntime-qnn isn't installed"
    except Exception as fault:  # onnxruntime raises errors of its own with no type to name
        return f"its plugin answers: {str(fault).splitlines()[0]}"
    kinds = [one.device.type.name for one in onnxruntime.get_ep_devices() if one.ep_name == QNN]
    return "one" if "NPU" in kinds else f"none, only {' and '.join(kinds) or 'nothing'}"
