"""The forms in which a layer's part of the Jacobian is held, and their products.

========  =====================================================================
`Rows`    the columns themselves (n, k, p); few, or only the surviving ones
`Tiles`   input and gradients; columns are built a tile at a time
`Outer`   one position: (a . a' + 1) (delta . delta'), the two-Gram product
`Last`    the layer that gives the logits: `Outer` or `Units` where delta is 1
`Pairs`   few positions: the two-Gram product of all pairs of positions
`Units`   one position, masked: sum_o delta_o delta'_o sum_i m_oi a_i a'_i
========  =====================================================================

Each has `product(other, outputs)`, a block of the kernel (layout of `contract`),
`added(other, outputs, total)`, that block added to a sum, `diagonal()`, (n, k),
`joined(parts)` for consecutive samples and `part(start, stop)`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from paicore.kernels.ntk.contract import contract, spread, weighted
from paicore.kernels.ntk.positions import inputs_of, side_by_side


class Form:
    """What most forms share: tensors with one row per sample, named `per_sample`."""

    @classmethod
    def joined(cls, parts: Sequence["Form"]) -> "Form":
        """Return one form of the samples of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        tensors = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in cls.per_sample
        }
        return replace(parts[0], **tensors)

    def part(self, start: int, stop: int) -> "Form":
        """Return the form of some of its samples, without a copy."""
        tensors = {name: getattr(self, name)[start:stop] for name in self.per_sample}
        return replace(self, **tensors)

    def added(self, other: "Form", outputs: str, total: Tensor | None) -> Tensor:
        """Return a sum of blocks, None so far, and the block with `other`."""
        block = self.product(other, outputs)
        if total is None:
            return block
        return total + block if block.requires_grad else total.add_(block)


@dataclass(frozen=True, eq=False)
class Rows(Form):
    """Columns of the Jacobian (n, k, p)."""

    rows: Tensor
    per_sample = ("rows",)

    def product(self, other: "Rows", outputs: str) -> Tensor:
        """Return the block with the samples of `other`."""
        return contract(self.rows, other.rows, outputs)

    def diagonal(self) -> Tensor:
        """Return the squared norm of every row, (n, k)."""
        return self.rows.square().sum(2)


@dataclass(frozen=True, eq=False)
class Tiles(Form):
    """Layer inputs and gradients; J is built `width` output channels at a time.

    Attributes:
        modules: The layer of each call.
        pieces: For consecutive samples, the inputs (n, ...) at each call and the
            gradients (n, k, G, O, T) of each call.
        width: Channels in a tile.
    """

    modules: tuple[nn.Module, ...]
    pieces: tuple[tuple[tuple[Tensor, ...], tuple[Tensor, ...]], ...]
    width: int

    @classmethod
    def joined(cls, parts: Sequence["Tiles"]) -> "Tiles":
        """Return one form of the samples of all parts; nothing is copied."""
        return replace(parts[0], pieces=sum((part.pieces for part in parts), ()))

    def part(self, start: int, stop: int) -> "Tiles":
        """Return the form of some of its samples, without a copy."""
        cut, begin = [], 0
        for given, deltas in self.pieces:
            end = begin + len(given[0])
            rows = slice(max(start - begin, 0), max(stop - begin, 0))
            if start < end and stop > begin:
                cut.append(
                    (tuple(a[rows] for a in given), tuple(d[rows] for d in deltas))
                )
            begin = end
        return replace(self, pieces=tuple(cut))

    def tiles(self) -> Iterator[Tensor]:
        """Yield the columns (n, k, p) tile by tile, in one order."""
        groups, channels = self.pieces[0][1][0].shape[2:4]
        for group in range(groups):
            for start in range(0, channels, self.width):
                tile = [self._tile(*p, group, start) for p in self.pieces]
                yield torch.cat(tile) if len(tile) > 1 else tile[0]

    def _tile(self, given, deltas, group: int, start: int) -> Tensor:
        """Build the columns of some channels for one piece: (n, k, o I)."""
        a = inputs_of(self.modules, given)[:, group]  # (n, I, T)
        delta = side_by_side(deltas)[:, :, group, start : start + self.width]
        tile = delta.flatten(1, 2) @ a.transpose(1, 2)  # (n, k o, I)
        return tile.unflatten(1, delta.shape[1:3]).flatten(2)

    def product(self, other: "Tiles", outputs: str) -> Tensor:
        """Return the block with the samples of `other`."""
        if self is other:
            return sum(contract(tile, tile, outputs) for tile in self.tiles())
        pairs = zip(self.tiles(), other.tiles(), strict=True)
        return sum(contract(*pair, outputs) for pair in pairs)

    def diagonal(self) -> Tensor:
        """Return the squared norm of every row, (n, k)."""
        return sum(tile.square().sum(2) for tile in self.tiles())


@dataclass(frozen=True, eq=False)
class Outer(Form):
    """One position: inputs (n, I), gradients (n, k, O), and whether there is a bias."""

    given: Tensor
    delta: Tensor
    bias: bool
    per_sample = ("given", "delta")

    def product(self, other: "Outer", outputs: str) -> Tensor:
        """Return (a . a' + 1) (delta . delta')."""
        pairs = self.given @ other.given.T + float(self.bias)  # (n, n2)
        return weighted(contract(self.delta, other.delta, outputs), pairs, outputs)

    def added(self, other: "Outer", outputs: str, total: Tensor | None) -> Tensor:
        """Return a sum of blocks and this one, multiplied as it is added."""
        if total is None or total.requires_grad or self.delta.requires_grad:
            return super().added(other, outputs, total)
        pairs = self.given @ other.given.T + float(self.bias)  # (n, n2)
        block = contract(self.delta, other.delta, outputs)
        return total.addcmul_(block, spread(block, pairs, outputs))

    def diagonal(self) -> Tensor:
        """Return the squared norm of every row, (n, k)."""
        norm = self.given.square().sum(1, keepdim=True) + float(self.bias)
        return norm * self.delta.square().sum(2)


@dataclass(frozen=True, eq=False)
class Last(Form):
    """The layer whose outputs are the logits: inputs (n, I), mask (k, I) or None."""

    given: Tensor
    outputs: int
    mask: Tensor | None
    bias: bool
    per_sample = ("given",)

    def _same_class(self, other: "Last") -> Tensor:
        """Return the entries with c = c', (n, n2, k); those with others are zero."""
        if self.mask is None:
            grams = (self.given @ other.given.T).unsqueeze(2)
            grams = grams.expand(-1, -1, self.outputs)
        else:
            grams = (self.given.unsqueeze(1) * other.given) @ self.mask.T
        return grams + float(self.bias)

    def product(self, other: "Last", outputs: str) -> Tensor:
        """Return the block with the samples of `other`."""
        pairs = self._same_class(other)
        if outputs == "full":
            return torch.diag_embed(pairs, dim1=1, dim2=3)
        return pairs.permute(2, 0, 1) if outputs == "class" else pairs.sum(2)

    def added(self, other: "Last", outputs: str, total: Tensor | None) -> Tensor:
        """Return a sum of blocks and this one; only c = c' is touched."""
        if total is None or total.requires_grad or outputs != "full":
            return super().added(other, outputs, total)
        pairs = self._same_class(other)
        if pairs.requires_grad:
            return total + torch.diag_embed(pairs, dim1=1, dim2=3)
        total.diagonal(dim1=1, dim2=3).add_(pairs)
        return total

    def diagonal(self) -> Tensor:
        """Return the squared norm of every row, (n, k)."""
        squares = self.given.square()
        if self.mask is None:
            norm = squares.sum(1, keepdim=True).expand(-1, self.outputs)
        else:
            norm = squares @ self.mask.T
        return norm + float(self.bias)


@dataclass(frozen=True, eq=False)
class Pairs(Form):
    """Few positions: inputs (n, I, T), gradients (n, k, O, T)."""

    given: Tensor
    delta: Tensor
    bias: bool
    per_sample = ("given", "delta")

    def product(self, other: "Pairs", outputs: str) -> Tensor:
        """Return the sum over pairs of positions of the two-Gram products."""
        total = 0
        rights = list(zip(other.given.unbind(2), other.delta.unbind(3), strict=True))
        for given, delta in zip(
            self.given.unbind(2), self.delta.unbind(3), strict=True
        ):
            for given2, delta2 in rights:
                pairs = given @ given2.T + float(self.bias)
                block = contract(delta, delta2, outputs)
                total = total + weighted(block, pairs, outputs)
        return total

    def _positions(self) -> list[tuple[Tensor, Tensor]]:
        """Return (n, I) and (n, k, O) for each position."""
        pairs = zip(self.given.unbind(2), self.delta.unbind(3), strict=True)
        return [(a.contiguous(), d.contiguous()) for a, d in pairs]


@dataclass(frozen=True, eq=False)
class Units(Form):
    r"""One position, masked: one small Gram of the surviving inputs per output unit.

    .. math:: K_{nc,n'c'} = \sum_o \delta_{nco} \delta'_{n'c'o}
              \Bigl( \sum_i m_{oi} a_{ni} a'_{n'i} + b \Bigr)
    """

    given: Tensor
    delta: Tensor
    mask: Tensor
    bias: bool
    limit: int
    per_sample = ("given", "delta")

    def product(self, other: "Units", outputs: str) -> Tensor:
        """Return the block with the samples of `other`, `limit` numbers at a time."""
        per_sample = len(other.given) * (other.delta[0].numel() + self.given.shape[1])
        step = max(self.limit // per_sample, 1)
        parts = zip(self.given.split(step), self.delta.split(step), strict=True)
        axis = 1 if outputs == "class" else 0
        return torch.cat([self._part(*p, other, outputs) for p in parts], axis)

    def _part(self, given, delta, other, outputs) -> Tensor:
        """Return the block of some samples with those of `other`."""
        pairs = given.unsqueeze(1) * other.given  # (n, n2, I)
        grams = pairs @ self.mask.T + float(self.bias)  # (n, n2, O)
        right = grams.unsqueeze(2) * other.delta  # (n, n2, k, O)
        if outputs == "full":
            block = delta @ right.flatten(1, 2).transpose(1, 2)  # (n, k, n2 k)
            return block.unflatten(2, other.delta.shape[:2])
        if outputs == "class":
            return (delta.unsqueeze(1) * right).sum(3).permute(2, 0, 1)
        return (right.flatten(2) @ delta.flatten(1).unsqueeze(2)).squeeze(2)

    def diagonal(self) -> Tensor:
        """Return the squared norm of every row, (n, k)."""
        norm = self.given.square() @ self.mask.T + float(self.bias)  # (n, O)
        return (self.delta.square() * norm.unsqueeze(1)).sum(2)
