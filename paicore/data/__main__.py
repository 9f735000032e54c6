"""Download data sets: ``python -m paicore.data NAME ...``; present ones are checked."""

import sys

from paicore.data import NAMES, DataError, load
from paicore.data.store import path


def main(names: list[str]) -> int:
    """Load each data set, downloading what is missing, and print what it is."""
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        print(f"usage: python -m paicore.data NAME ...   with NAME in {NAMES}")
        return 2
    for name in names:
        try:
            ds = load(name)
        except DataError as error:
            print(error, file=sys.stderr)
            return 1
        where = "bundled with scikit-learn" if name == "digits" else path(name)
        counts = f"{len(ds.train_y)} training and {len(ds.test_y)} test images"
        print(f"{name}: {where}\n  {counts} of shape {ds.in_shape}\n  {ds.source}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
