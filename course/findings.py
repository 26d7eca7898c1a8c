"""What the doctor says: findings with a status and the line that mends them, as a report for a terminal or a notebook.

Pure: knows nothing about what is looked at.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from slmlab.errors import BadRequest
from slmlab.show import html_table, text_table


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `status` is 'ok', 'warn' (lessons run, with a catch) or 'fail'; `mend` is a line to run."""

    name: str
    status: str
    detail: str
    mend: str = ""


@dataclass(frozen=True)
class Report:
    """What the doctor found. Iterate it, print it, or read `ok`: true when nothing fails."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.status != "fail" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, name: str) -> Finding:
        found = [finding for finding in self.findings if finding.name == name]
        if not found:
            raise BadRequest(f"No finding {name!r}. There is: {', '.join(one.name for one in self.findings)}.")
        return found[0]

    def to_dict(self) -> dict:
        return {"ok": self.ok, "findings": [asdict(finding) for finding in self.findings]}

    def _summary(self) -> str:
        faults = sum(finding.status == "fail" for finding in self.findings)
        warnings = sum(finding.status == "warn" for finding in self.findings)
        if not faults:
            return "All is well." if not warnings else f"Nothing fails; {warnings} to know about."
        return f"{faults} to mend first{f', {warnings} to know about' if warnings else ''}."

    def __str__(self):
        rows = []
        for one in self.findings:
            rows.append((one.status.upper() if one.status == "fail" else one.status, one.name, one.detail))
            rows += [("", "", f"-> {one.mend}")] if one.mend else []
        return f"{text_table(('', '', ''), rows)}\n{self._summary()}"

    def _repr_html_(self):
        rows = [(one.status, one.name, one.detail, one.mend) for one in self.findings]
        return html_table(("", "looked at", "found", "the line that mends it"), rows, note=self._summary())
