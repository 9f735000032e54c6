"""Sums over parameters: from rows of the Jacobian to blocks of the kernel.

Blocks are kept in the layout that the products give, and turned into the public
one at the end: "full" (n, k, n2, k), "class" (k, n, n2), "sum" (n, n2).
"""

from torch import Tensor

STRIPS = 8  # a symmetric product in 8 strips costs 9/16 of the whole


def contract(left: Tensor, right: Tensor, outputs: str) -> Tensor:
    r"""Sum products of Jacobian rows over the last axis.

    .. math:: K_{nc,n'c'} = \sum_p J_{nc,p} J'_{n'c',p}

    Args:
        left: Rows (n, k, p).
        right: Rows (n2, k, p); the same object as `left` halves the work.
        outputs: "full", "class" (only c = c') or "sum" (its sum over c).

    Returns:
        Block in the layout of `outputs`, see above.
    """
    if outputs == "full":
        n, k, n2 = len(left), left.shape[1], len(right)
        same = left is right and not left.requires_grad
        left, right = left.flatten(0, 1), right.flatten(0, 1)
        flat = symmetric(left) if same else left @ right.T
        return flat.view(n, k, n2, k)
    if outputs == "class":
        return left.transpose(0, 1) @ right.permute(1, 2, 0)  # (k, n, n2)
    return left.flatten(1) @ right.flatten(1).T  # (n, n2)


def symmetric(rows: Tensor) -> Tensor:
    """Return rows @ rows.T, (r, r), computing only the upper strips."""
    r, p = rows.shape
    if r < 8 * STRIPS or r * p < 1 << 20:
        return rows @ rows.T
    out = rows.new_empty(r, r)
    step = -(-r // STRIPS)
    for start in range(0, r, step):
        stop = min(start + step, r)
        strip = rows[start:stop] @ rows[start:].T
        out[start:stop, start:] = strip
        out[stop:, start:stop] = strip[:, stop - start :].T
    return out


def weighted(block: Tensor, pairs: Tensor, outputs: str) -> Tensor:
    """Multiply a block by one number per pair of samples, (n, n2)."""
    pairs = spread(block, pairs, outputs)
    return block * pairs if block.requires_grad else block.mul_(pairs)


def spread(block: Tensor, pairs: Tensor, outputs: str) -> Tensor:
    """Return one number per pair of samples in a shape that meets a block's."""
    if outputs != "full":
        return pairs
    n, k, n2, _ = block.shape  # one long row per left sample: short rows are slow
    return pairs.repeat_interleave(k, 1).view(n, 1, n2, k)


def public(block: Tensor, outputs: str) -> Tensor:
    """Turn a block into the public layout: (n, n2, k, k), (n, n2, k) or (n, n2)."""
    if outputs == "full":
        return block.permute(0, 2, 1, 3)
    return block.permute(1, 2, 0) if outputs == "class" else block
