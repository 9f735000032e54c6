"""The released logs' accuracies, and ours beside them.

Letter L: fmi-basel/neural-tangent-transfer, stored outputs of notebooks/
ntt_demo_mlp.ipynb and ntt_demo_cnn.ipynb, 3 % of the weights, MNIST, two runs each.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paicore.experiments.sparse_training_tables import selected
from paicore.experiments.tables import aligned

if TYPE_CHECKING:
    import pandas

    from paicore.records import Record

LAST_TEN = "last 10"  # mean over the last ten evaluations, every 100 iterations
TRAIN = "train"  # the same of the first 5,400 training images
# Test accuracy in percent: students' two runs, then two runs of "rand".
LOGS: Mapping[str, Mapping[int | str, tuple[float, ...]]] = {
    "mlp": {
        1: (4.38, 18.98, 9.64, 8.14),
        101: (75.65, 74.68, 44.69, 38.64),
        201: (85.31, 82.82, 62.00, 62.86),
        501: (90.56, 90.75, 84.45, 81.35),
        1_001: (93.06, 92.98, 88.65, 87.09),
        5_001: (96.24, 96.31, 92.45, 91.14),
        10_001: (96.65, 96.67, 93.33, 92.57),
        42_101: (96.46, 96.46, 93.78, 93.15),
        LAST_TEN: (96.42, 96.50, 93.60, 93.13),
        TRAIN: (99.84, 99.77, 95.31, 94.68),
    },
    "cnn": {
        1: (8.43, 13.71, 8.92, 10.10),
        101: (86.27, 85.71, 29.48, 33.74),
        201: (91.77, 90.94, 68.72, 72.46),
        501: (95.00, 93.75, 86.82, 88.45),
        1_001: (96.28, 96.17, 90.08, 91.26),
        5_001: (98.20, 97.88, 94.92, 95.14),
        10_001: (98.34, 98.20, 95.82, 96.25),
        42_101: (98.18, 98.17, 96.43, 97.02),
        LAST_TEN: (98.34, 98.35, 96.46, 97.01),
        TRAIN: (99.87, 99.86, 97.63, 98.05),
    },
}
FROM = 41_201  # iteration of the first of the last ten evaluations
CALM = {LAST_TEN: "test_accuracy", TRAIN: "train_accuracy"}


def beside_log(
    record: "Record", log: str, *, methods: Sequence[str] = ("ntt_ambient", "rand")
) -> str:
    """Return the released log's accuracies and ours side by side, in percent.

    Args:
        record: Without rows only the log is shown, and the message.
        log: "mlp" or "cnn".
        methods: Our students, and our random masks.

    Returns:
        Text: iteration; two logged runs and ours of students; the same of random
        masks. Iterations that one side does not have show a dash.
    """
    ours = [_of_method(record, method) for method in methods]
    there = {where for each in ours for where in each}
    is_full = FROM in there or not there
    steps = LOGS[log].keys() | (set() if is_full else there)
    lines = [("test accuracy", "log NTT", f"ours {methods[0]}", "log rand",
              f"ours {methods[1]}")]  # fmt: skip
    for where in sorted(steps, key=lambda at: (isinstance(at, str), at)):
        logged = LOGS[log].get(where)
        one, two = (f"{a:.2f} {b:.2f}" for a, b in (logged[:2], logged[2:])) if (
            logged
        ) else ("-", "-")  # fmt: skip
        name = {LAST_TEN: "last ten looks", TRAIN: "of them, train"}.get(where, where)
        lines.append(
            (str(name), one, ours[0].get(where, "-"), two, ours[1].get(where, "-"))
        )
    text = aligned(lines, 3)
    return text if record.rows is not None else f"{text}\n{record.message}"


def _of_method(record: "Record", method: str) -> dict[int | str, str]:
    """Return our accuracies by iteration, and the two means over the last looks."""
    if record.rows is None or method not in {*record.rows["method"]}:
        return {}
    rows = selected(record.rows, {"method": method})
    found = {
        step: _moments(100 * part["test_accuracy"])
        for step, part in rows.groupby("step")
    }
    late = rows[rows["step"] >= FROM]
    for name, column in CALM.items() if len(late) else ():
        found[name] = _moments(100 * late.groupby("seed")[column].mean())
    return found


def _moments(values: "pandas.Series") -> str:
    """Return mean, sd and n."""
    sd = f" ±{values.std():.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{sd} ({len(values)})"
