"""Text of notebook 43 from the printed numbers alone: figures and tables."""

from paicore.experiments import accuracy_printed as printed
from paicore.experiments.accuracy_tables import percent
from paicore.experiments.tables import aligned


def figure1(net: str) -> str:
    """Return the paper's Figure 1 of one network, digitised."""
    head = [percent(0.8**k) for k in printed.EXPONENTS]
    return _lines(head, printed.FIGURE1[net])


def by_epsilon(net: str) -> str:
    """Return one of Tables 12 to 14, and the bands where there are any."""
    head = [percent(0.8**k) for k in printed.TABLED]
    text = _lines(head, printed.BY_EPSILON[net])
    if net != "resnet20":
        return text
    band = [f"{mean:.1f} ±{half:.1f}" for mean, half in printed.BANDS.values()]
    return f"{text}\naccepted for 1e-04: {', '.join(band)}"


def by_rounds() -> str:
    """Return the paper's figure on T, ResNet-20, digitised."""
    head = [percent(0.8**k) for k in printed.EXPONENTS[4:]]
    return _lines(head, printed.BY_ROUNDS)


def table1() -> str:
    """Return the paper's Table 1."""
    head = [f"R{depth} {share}" for depth in (18, 50) for share in ("89.26", "95.60")]
    return _lines(head, printed.TABLE1)


def _lines(head: list[str], lines) -> str:
    """Return printed numbers as a table."""
    body = [[name, *(cell.text for cell in cells)] for name, cells in lines.items()]
    return aligned([["", *head], *body])


def settings(name: str) -> str:
    """Return the configuration of a figure with the letter of each value."""
    lines = [
        f"{what:22}{letter:6}{value}{'†' * (letter == 'M')}"
        for what, value, letter in printed.SETTINGS[name]
    ]
    if any(letter == "M" for _, _, letter in printed.SETTINGS[name]):
        lines.append("† recalled, not checked against the PDF")
    return "\n".join(lines)
