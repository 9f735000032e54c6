"""Checkpoints that a killed run goes on from, bit for bit.

All randomness of a run follows from one key and the step, so the state is small:
parameters, masks, moments, the log. A file appears whole or not at all.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paicore.forward.weights import all_finite
from paicore.masks.container import DAMAGE
from paicore.transfer.checks import partial
from paicore.transfer.result import LOG
from paicore.transfer.settings import Settings
from paicore.transfer.state import State

ALIKE = 1e-4  # of the largest output: what two machines' rounding cannot reach


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a short hash of names and contents of tensors, in any order."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        found.update(flat.view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return found.hexdigest()[:16]


def identity(
    settings: Settings, teacher: Mapping[str, Tensor], data: Mapping[str, Tensor], key,
    outputs: Tensor,
) -> dict:  # fmt: skip
    """Return what two runs share exactly if they are the same run.

    Args:
        settings: The keywords.
        teacher: The teacher's parameters.
        data: Inputs by name.
        key: The number that all draws follow from.
        outputs: The teacher's on some inputs: equal weights are no equal network.

    Returns:
        dict of plain values by the name of the argument.
    """
    plain = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    plain["dtype"] = str(settings.dtype)
    if isinstance(settings.scope, Mapping):
        plain["scope"] = {n: float(v) for n, v in sorted(settings.scope.items())}
    if isinstance(settings.first_masks, Mapping):
        plain["first_masks"] = digest(settings.first_masks)
    plain |= {name: digest({name: each}) for name, each in data.items()}
    heard = outputs.detach().double().flatten().tolist()
    return plain | {"net": digest(teacher), "generator": key, "outputs": heard}


def save(path: Path, state: State, run: dict) -> None:
    """Write a checkpoint in place of the one before."""
    groups = {
        "value": state.values,
        "mask": state.masks,
        "first": state.first,
        "moment": {n: torch.stack(pair) for n, pair in state.moments().items()},
    }
    arrays = {
        f"{group}/{name}": tensor.detach().cpu().numpy()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    rows = [[row[column] for column in LOG] for row in state.log]
    begun = partial(path)
    try:
        with open(begun, "wb") as file:
            np.savez(
                file, **arrays, step=state.step, run=json.dumps(run, sort_keys=True),
                log=np.asarray(rows, dtype=np.float64),
            )  # fmt: skip
        os.replace(begun, path)
    finally:
        begun.unlink(missing_ok=True)


def resumed(path: Path, fresh: State, run: dict) -> State:
    """Return the state of a checkpoint; ValueError if it is damaged or another run's.

    Args:
        path: Where it lies.
        fresh: The state before the first step; is filled.
        run: Identity of this run.

    Returns:
        `fresh`.
    """
    with _reading(path):
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        before = json.loads(str(arrays["run"]))
        _whole(isinstance(before, dict), "what run it is of")
    _check_same(path, before, run)
    with _reading(path):
        step = int(arrays["step"])
        log = _log(arrays["log"], step, run["steps"])
        value, mask, first, moment = _groups(arrays, fresh)
    fresh.step, fresh.log, fresh.masks, fresh.first = step, log, mask, first
    with torch.no_grad():
        for name, each in fresh.values.items():
            each.copy_(value[name])
    fresh.restore_moments({n: each.unbind() for n, each in moment.items()})
    return fresh


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn everything that a damaged file raises into one error.

    Yields:
        Nothing.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        yield
    except DAMAGE as error:
        # NumPy's advice on a file of another kind is to load it unsafely
        why = "" if "pickle" in str(error) else f" ({error})"
        raise ValueError(
            f"checkpoint: {path} is no readable checkpoint{why}; remove it to start "
            "anew"
        ) from error


def _whole(is_whole: bool, what: str) -> None:
    """Refuse a file that lacks something."""
    if not is_whole:
        raise ValueError(f"it lost {what}")


def _groups(arrays: dict, fresh: State) -> list[dict[str, Tensor]]:
    """Sort arrays into values, masks, first masks and moments; refuse missing ones."""
    trained = fresh.values if isinstance(fresh.optimizer, torch.optim.Adam) else {}
    likes = {
        "value": fresh.values,
        "mask": fresh.masks,
        "first": fresh.first,
        "moment": {n: torch.stack([v.detach()] * 2) for n, v in trained.items()},
    }
    names = {f"{group}/{name}" for group, own in likes.items() for name in own}
    _whole(set(arrays) == names | {"step", "run", "log"}, "some of its arrays")
    found = []
    for group, own in likes.items():
        read = {n: torch.from_numpy(arrays[f"{group}/{n}"]) for n in own}
        for name, each in own.items():
            fits = read[name].shape == each.shape and read[name].dtype == each.dtype
            _whole(fits, f"shape or type of {group} {name!r}")
            fits = group != "value" or all_finite(read[name])
            _whole(fits, f"numbers of {group} {name!r}")
        found.append({n: read[n].to(each.device) for n, each in own.items()})
    return found


def _log(rows: np.ndarray, step: int, steps: int) -> list[dict]:
    """Return the rows of a log that ends with a step, counts as integers."""
    _whole(0 < step <= steps, f"its step, {step} of {steps}")
    _whole(rows.ndim == 2 and rows.shape[1] == len(LOG) and len(rows) > 1, "its log")
    log = [dict(zip(LOG, row, strict=True)) for row in rows.tolist()]
    _whole((log[0]["step"], log[-1]["step"]) == (0, step), "rows of its log")
    return [row | {n: int(row[n]) for n in ("step", "kept")} for row in log]


def _check_same(path: Path, before: dict, run: dict) -> None:
    """Refuse the checkpoint of another run, and say what is different."""
    run = json.loads(json.dumps(run))
    pairs = {n: (before.get(n), run.get(n)) for n in sorted(before.keys() | run)}
    outputs = pairs.pop("outputs")
    apart = [name for name, (was, now) in pairs.items() if was != now]
    if apart:
        was, now = pairs[apart[0]]
        advice = ("seed it as the first time, one number is drawn from it, or "
                  if apart[0] == "generator" else "")  # fmt: skip
        raise ValueError(
            f"checkpoint: {path} is of a run with another {apart[0]} "
            f"({was!r}, now {now!r}); {advice}remove it, or name another"
        )
    if not _are_alike(*outputs):
        raise ValueError(
            f"checkpoint: {path} is of a run with another net (of the same weights, "
            "but with other outputs); remove it, or name another"
        )


def _are_alike(was: object, now: list[float]) -> bool:
    """Tell whether two lists of outputs differ by no more than rounding."""
    if not isinstance(was, list) or len(was) != len(now):
        return False
    gap = np.abs(np.asarray(was, dtype=np.float64) - np.asarray(now))
    return bool((gap <= ALIKE * np.abs(now).max()).all())
