"""errors: near names first, advice on lines of its own."""

from slmlab import errors


def test_the_nearest_names_come_first_and_none_is_lost():
    assert errors.nearest("phi", ["mistral", "phi-3", "gpt-4"]) == "Available: phi-3, mistral, gpt-4"


def test_a_name_of_megabytes_is_cut_and_compared_in_no_time():
    name = "x" * 1_000_000
    assert len(errors.quoted(name)) < 100 and errors.quoted("phi") == "'phi'"
    assert errors.nearest(name, ["phi"]) == "Available: phi"


def test_show_writes_what_to_do_on_lines_of_its_own(capsys):
    errors.ProviderError("No answer. " * 12, "Try again. " * 12, status=503).show()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 96 and len(lines) == 4
    assert lines[2].startswith("→ Try again.") and lines[3].startswith("  ")
