"""QNN, the way to the NPU of a Qualcomm Snapdragon: what it takes, and what this machine answers. It runs nothing here.

The NPU wants a graph with fixed shapes, quantized with QDQ nodes and compiled for it; the bundled model isn't that.
"""

from pathlib import Path

from course.runtimes.contract import Runtime
from course.runtimes.facts import this_platform

PROVIDER = "QNNExecutionProvider"


class Qnn(Runtime):
    id = "qnn"

    def __init__(self, file: Path | None = None):
        super().__init__(file)

    def need(self) -> str:
        return (
            f"A Snapdragon with an NPU, {self.facts.install_line()}, and the model quantized with QDQ nodes and "
            f"compiled into a context binary. This machine: {this_platform()}, whose onnxruntime offers {_offered()}."
        )

    def answers(self) -> list[tuple[str, str]]:
        return [*super().answers(), ("execution providers of onnxruntime", _offered()), ("NPU that QNN sees", _npu())]


def _offered() -> str:
    try:
        from onnxruntime import get_available_providers
    except ImportError:
        return "nothing: it isn't installed"
    return " and ".join(get_available_providers())


def _npu() -> str:
    """The NPU, asked of QNN's own plugin where it is installed."""
    try:
        import onnxruntime
        import onnxruntime_qnn
    except ImportError:
        return "nobody to ask: onnxruntime-qnn isn't installed"
    try:
        onnxruntime.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
        kinds = [one.device.type.name for one in onnxruntime.get_ep_devices() if one.ep_name == PROVIDER]
    except Exception as fault:  # the runtime raises its own untyped errors, also when it is asked a second time
        return f"its plugin answers: {str(fault).splitlines()[0]}"
    return "one" if "NPU" in kinds else f"none, only {' and '.join(kinds) or 'nothing'}"


RUNTIMES = {"qnn": Qnn}
