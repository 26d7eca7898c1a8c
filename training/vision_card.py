"""The tables of the vision model's card, out of its scores."""

from course.drawn.scores import GATE, VisionScores
from training.cards import markdown_table

MARK, END_MARK = "<!-- scores: written by python -m training.vision evaluate -->", "<!-- end of scores -->"


def tables(scores: VisionScores) -> str:
    """Every form with its score and its opponents; whole readings; letters wrong; other looks."""
    notes = scores.notes
    parts = [
        f"Exact answers to {notes['pictures']} held-out questions a form, with the interval that holds the true share "
        f"19 times of 20. **Bold**: {GATE:.0%} or more. *Blind* is the better of two that see nothing: the model with "
        "its picture blanked (a quarter of the questions), and whoever always says the commonest answer. *OCR* is "
        f"RapidOCR and a rule for each form, on {notes['ocr_pictures']} pictures; - is a form that no text tells.",
        markdown_table(
            ("form", "a wording", "exact", "within 5", "blind", "OCR"),
            [(one.form, one.wording, _bold(one), one.near or "", f"{one.blind:.0%}", one.ocr or "-")
             for one in scores.forms],
        ),
        "Whole readings that are exact to the last letter:",
        markdown_table(("pictures", "readings"), list(scores.readings.items())),
        "Letters wrong when plain text is read (character error rate): "
        + ", ".join(f"{who} {share:.1%}" for who, share in scores.letters_wrong.items()) + ".",
        "The same bar charts in other looks, one question a picture, of all forms:",
        markdown_table(
            ("look", "answers", "whole readings"),
            [(one.look, one.answers, one.readings) for one in scores.looks],
        ),
    ]  # fmt: skip
    return "\n\n".join(parts)


def _bold(one) -> str:
    return f"**{one.model}**" if one.relied_on else str(one.model)
