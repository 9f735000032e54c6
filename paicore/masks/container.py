"""The Masks container: named bool tensors, and nothing that hooks into a network."""

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from paicore.forward.private import check_masks
from paicore.forward.weights import check_plain, prunable

# What numpy and zipfile raise on files that are cut off, overwritten or of another kind
DAMAGE = (
    OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, RuntimeError,
    NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Masks(Mapping[str, Tensor]):
    """Which weights are kept: parameter name -> bool tensor, True where kept.

    Conventions: names are those of ``net.named_parameters()``; every Linear and Conv
    weight has a mask; density is the fraction kept. Nothing is attached to a network,
    so masks survive deepcopy, ``torch.func``, saving and training.

    Args:
        masks: name -> bool tensor; the tensors are copied.

    Raises:
        TypeError: a value is no bool tensor.
        ValueError: there is no mask at all.
    """

    def __init__(self, masks: Mapping[str, Tensor]) -> None:
        if not isinstance(masks, Mapping):
            raise TypeError(f"masks: expected a mapping, got {type(masks).__name__}")
        for name, mask in masks.items():
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                kind = getattr(mask, "dtype", type(mask).__name__)
                raise TypeError(f"masks: expected bool tensors, got {kind} at {name!r}")
            check_plain(mask, f"masks: {name!r}")
        if not any(mask.numel() for mask in masks.values()):
            raise ValueError("masks: expected at least one mask of a weight, got none")
        self._masks = {name: mask.detach().clone() for name, mask in masks.items()}

    @classmethod
    def dense(cls, net: nn.Module) -> Self:
        """Return masks that keep every prunable weight of a network."""
        weights = prunable(net)
        kept = {n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()}
        return cls(kept)

    def __getitem__(self, name: str) -> Tensor:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping) or set(self) != set(other):
            return False
        return all(
            isinstance(other[n], Tensor) and torch.equal(m.cpu(), other[n].cpu())
            for n, m in self.items()
        )

    __hash__ = None

    def __repr__(self) -> str:
        return f"Masks({self.kept} of {self.total} kept, density {self.density:.6g})"

    @property
    def kept(self) -> int:
        """Number of weights kept."""
        return sum(int(mask.sum()) for mask in self.values())

    @property
    def total(self) -> int:
        """Number of weights that have a mask."""
        return sum(mask.numel() for mask in self.values())

    @property
    def density(self) -> float:
        """Fraction of weights kept."""
        return self.kept / self.total

    def layer_densities(self) -> dict[str, float]:
        """Return the fraction kept of each weight, by name."""
        return {n: int(m.sum()) / max(m.numel(), 1) for n, m in self.items()}

    @property
    def collapsed(self) -> list[str]:
        """Names of the layers that keep nothing (layer collapse)."""
        return [name for name, mask in self.items() if not mask.any()]

    def to(self, device: torch.device | str) -> Self:
        """Return the masks on a device."""
        return type(self)({name: mask.to(device) for name, mask in self.items()})

    def apply_(self, net: nn.Module) -> nn.Module:
        """Set the pruned weights of a network to zero, in place, and return it."""
        check_masks(net, self)
        with torch.no_grad():
            for name, weight in prunable(net).items():
                weight.masked_fill_(~self[name].to(weight.device), 0)
        return net

    def effective(self, net: nn.Module, in_shape: tuple[int, ...]) -> Self:
        """Return the masks without weights on no path from an input to an output.

        See `paicore.masks.effective`.
        """
        from paicore.masks.effective import effective

        return effective(self, net, in_shape)

    def shuffled(self, generator: torch.Generator) -> Self:
        """Return masks permuted inside each layer; layer densities stay as they are."""
        from paicore.masks.sanity import shuffled

        return shuffled(self, generator)

    def report(self, net: nn.Module, in_shape: tuple[int, ...]) -> str:
        """Return a table of kept and effective weights per layer, collapse marked."""
        live = self.effective(net, in_shape)
        shares, live_shares = self.layer_densities(), live.layer_densities()
        width = max(len(name) for name in self)
        lines = [f"{'layer':{width}}  {'weights':>9}  {'density':>8}  {'effective':>9}"]
        for name, mask in self.items():
            share, alive = shares[name], live_shares[name]
            mark = "" if share else "  collapsed"
            lines.append(
                f"{name:{width}}  {mask.numel():9d}  {share:8.4%}  {alive:9.4%}{mark}"
            )
        share, alive = self.density, live.density
        lines.append(f"{'all':{width}}  {self.total:9d}  {share:8.4%}  {alive:9.4%}")
        return "\n".join(lines)

    def save(self, path: str | os.PathLike) -> None:
        """Write the masks to a compressed ``.npz``, one bool array per name.

        The file appears whole or not at all. Without paicore: ``numpy.load(path)``.

        Args:
            path: Name of the file, ending in ``.npz``.

        Raises:
            ValueError: the name has another ending.
        """
        target = Path(path)
        if target.suffix != ".npz":
            raise ValueError(f"path: expected a name ending in .npz, got {target.name}")
        arrays = {name: mask.cpu().numpy() for name, mask in self.items()}
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w") as file:
                        np.lib.format.write_array(file, array, allow_pickle=False)
                archive.comment = _fingerprint(self)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read masks written by `save`.

        Args:
            path: Name of the file.

        Returns:
            Masks on the CPU.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or holds something else than masks.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"path: there is no mask file {path}")
        try:
            with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if not arrays or _comment(path) not in (
                b"", _fingerprint(arrays)
            ):  # fmt: skip
                raise ValueError(f"it lost some of its masks, {list(arrays)} are left")
            kinds = {str(each.dtype) for each in arrays.values()}
            if kinds != {"bool"}:
                raise ValueError(f"it holds other arrays than bool masks: {kinds}")
        except DAMAGE as e:
            raise ValueError(f"path: {path} is no readable mask file ({e})") from e
        return cls({name: torch.from_numpy(each) for name, each in arrays.items()})


def _fingerprint(names: Iterable[str]) -> bytes:
    """Tell a file that holds all its masks, in order, from one that lost some."""
    text = "\n".join(names).encode()
    return b"paicore masks " + hashlib.sha256(text).hexdigest().encode()


def _comment(path: str | os.PathLike) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.comment
