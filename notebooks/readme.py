"""The README's scorecard: the table of verdicts, from the committed records."""

from running import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- scorecard -->\n", "<!-- /scorecard -->"


def with_scorecard(text):
    """Return the README's text with the scorecard as the records have it now."""
    from paicore import claims

    head, found, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    if not found:
        raise ValueError(f"README.md: there is no line {BEGIN.strip()}")
    counts = claims.scorecard().partition("\n\n")[0]
    return f"{head}{BEGIN}\n{counts}\n\n{END}{tail}"


def refresh():
    """Write the scorecard into the README; returns whether anything changed."""
    before = README.read_text(encoding="utf-8")
    after = with_scorecard(before)
    if after != before:
        README.write_text(after, encoding="utf-8")
    return after != before
