"""One thread, warnings as errors, reproducible hypothesis, GPU tests skipped aloud."""

import os
import sys
from pathlib import Path

import pytest

# Before torch is imported anywhere: two threads on two wanted cores are slower than
# one, and trained numbers differ between one and two.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TQDM_DISABLE"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "notebooks"), str(ROOT / ".ci")]

# Each line says whose warning it is and when it can go.
ALLOWED = (
    # linear_operator, at the import of curvlinops 3.0.1; until it leaves torch.jit.
    r"ignore:.torch\.jit\.script. is deprecated:FutureWarning",
    # torch, on a machine with a GPU but no driver for it; our code runs on the CPU.
    r"ignore:CUDA initialization:UserWarning",
)


def pytest_configure(config):
    """Turn warnings into errors, but for the few above."""
    for line in ("error", *ALLOWED):
        config.addinivalue_line("filterwarnings", line)
    import hypothesis

    hypothesis.settings.register_profile(
        "paicore", derandomize=True, deadline=None, database=None
    )
    hypothesis.settings.load_profile("paicore")


def pytest_collection_modifyitems(items):
    """Skip GPU tests, with the reason, on a machine without one."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="needs a CUDA device, none is available")
        for item in marked:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Hold torch to one thread, for tests that did not start with the variable."""
    import torch

    torch.set_num_threads(1)
