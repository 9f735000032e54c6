"""Checkpoints that a killed run goes on from, bit for bit.

All randomness of a run follows from one key and the step, so the state is small:
parameters, masks, moments, the log. A file appears whole or not at all.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paicore.masks.container import DAMAGE
from paicore.transfer.result import LOG
from paicore.transfer.settings import Settings
from paicore.transfer.state import State


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a short hash of names and contents of tensors."""
    found = hashlib.sha256()
    for name, tensor in tensors.items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def identity(
    settings: Settings, teacher: Mapping[str, Tensor], data: Mapping[str, Tensor], key
) -> dict:
    """Return what two runs share exactly if they are the same run.

    Args:
        settings: The keywords.
        teacher: The teacher's parameters.
        data: Inputs by name.
        key: The number that all draws follow from.

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
    return plain | {"net": digest(teacher), "generator": key}


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
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            np.savez(
                file, **arrays, step=state.step, run=json.dumps(run, sort_keys=True),
                log=np.asarray(rows, dtype=np.float64),
            )  # fmt: skip
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def resumed(path: Path, fresh: State, run: dict) -> State:
    """Return the state of a checkpoint.

    Args:
        path: Where it lies.
        fresh: The state before the first step; is filled.
        run: Identity of this run.

    Returns:
        `fresh`.

    Raises:
        ValueError: the file is damaged, or is of another run.
    """
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        before = json.loads(str(arrays["run"]))
        found = _groups(arrays, fresh)
    except DAMAGE as error:
        raise ValueError(
            f"checkpoint: {path} is no readable checkpoint ({error}); remove it to "
            "start anew"
        ) from error
    _check_same(path, before, run)
    fresh.step = int(arrays["step"])
    fresh.log = [_row(row) for row in arrays["log"].tolist()]
    with torch.no_grad():
        for name, value in fresh.values.items():
            value.copy_(found["value"][name])
    fresh.masks, fresh.first = found["mask"], found["first"]
    fresh.restore_moments({n: each.unbind() for n, each in found["moment"].items()})
    return fresh


def _groups(arrays: dict, fresh: State) -> dict[str, dict[str, Tensor]]:
    """Sort arrays into groups of tensors by name."""
    device = next(iter(fresh.values.values())).device
    found: dict[str, dict[str, Tensor]] = {
        group: {} for group in ("value", "mask", "first", "moment")
    }
    for path, array in arrays.items():
        group, _, name = path.partition("/")
        if group in found:
            found[group][name] = torch.from_numpy(array).to(device)
    return found


def _row(numbers: list[float]) -> dict:
    """Return a row of the log with its two counts as integers."""
    row = dict(zip(LOG, numbers, strict=True))
    return row | {name: int(row[name]) for name in ("step", "kept")}


def _check_same(path: Path, before: dict, run: dict) -> None:
    """Refuse the checkpoint of another run, and say what is different."""
    run = json.loads(json.dumps(run))
    apart = [n for n in sorted(before.keys() | run) if before.get(n) != run.get(n)]
    if apart:
        name = apart[0]
        raise ValueError(
            f"checkpoint: {path} is of a run with another {name} "
            f"({before.get(name)!r}, now {run.get(name)!r}); remove it, or name another"
        )
