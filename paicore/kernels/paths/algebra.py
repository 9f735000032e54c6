"""Sums over all paths of powers of their products, by one forward pass.

With every parameter and every constant c on an edge replaced by abs(c)^q, max pooling
by a sum over its window and all gates open, the network's output for an input w is

    R_q = sum over paths p of abs(pi_p)^q w_s(p).

q = 1 and 2 give path norms, q = 0 (with 0^0 = 0) counts paths.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from paicore.kernels.paths.reading import Reading, is_batch_norm


class Gates(Reading):
    """Run the network as it is and keep the gate of every ReLU and max pooling.

    Attributes:
        kept: One entry per call, in order: (open, slope) of an activation, with
            `open` bool and shaped like its input; the argmax of a max pooling,
            int64, flat within each channel and shaped like its output.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: list = []

    def gate(self, func: Callable, x: Tensor, **ignored) -> Tensor:
        """ReLU: open where x > 0, strictly, as autograd has it."""
        self.kept.append((x > 0, 0.0))
        return func(x)

    def leaky(self, func: Callable, x, negative_slope=0.01, **ignored) -> Tensor:
        """Leaky ReLU: gate 1 or the slope."""
        self.kept.append((x > 0, float(negative_slope)))
        return func(x, negative_slope)

    def max_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Max pooling: keep which position of the channel won."""
        kwargs.pop("return_indices", None)
        out, winner = func(x, *args, **kwargs, return_indices=True)
        self.kept.append(winner)
        return out


class Algebra(Reading):
    """Sums of path products to the power q.

    Args:
        power: q.
        sources: False leaves out all that is added: biases, beta, stored means.
        gates: What `Gates` kept; None opens all gates. Slopes are squared.
    """

    def __init__(self, power: int, *, sources: bool = True, gates=None) -> None:
        super().__init__()
        self.power, self.sources = power, sources
        self.gates: Iterator | None = None if gates is None else iter(gates)
        self.added: set[str] = set()  # names of the parameters that are added
        self.left_out = False  # whether a constant was added and left out

    def lift(self, value):
        """Return abs(c)^q for a constant, tensors with a walk as they are."""
        if hasattr(value, "walk"):
            return value
        if isinstance(value, Tensor):
            return (
                (value != 0).double() if self.power == 0 else value.abs() ** self.power
            )
        return float(value != 0) if self.power == 0 else abs(value) ** self.power

    def source(self, value):
        """Lift something that is added; zero if sources are left out."""
        walk = getattr(value, "walk", None)
        if walk is not None and walk.signal:
            return value
        self.added |= walk.edges if walk is not None else frozenset()
        if walk is None and not self.sources:
            self.left_out |= bool((torch.as_tensor(value) != 0).any())
        return self.lift(value) if self.sources else 0.0

    def linear(self, func: Callable, x, weight, bias=None, *args, **kwargs) -> Tensor:
        """Linear, convolution, matrix product."""
        bias = None if bias is None else self.source(bias)
        bias = bias if isinstance(bias, Tensor) else None
        rest = (bias, *args) if args or bias is not None else ()
        return func(self.lift(x), self.lift(weight), *rest, **kwargs)

    def add(self, func: Callable, a, b, alpha=1) -> Tensor:
        """Join path sets: residual adds, biases added by hand."""
        if alpha != 1:
            self.refuse("adds with a factor alpha")
        return self.source(a) + self.source(b)

    sub = add  # the sign is on the edge, and abs(-1)^q = 1

    def mul(self, func: Callable, a, b) -> Tensor:
        """Multiply by a constant or by a parameter."""
        return self.lift(a) * self.lift(b)

    def neg(self, func: Callable, x):
        """Multiply by the constant -1."""
        return self.mul(torch.mul, x, -1.0)

    def div(self, func: Callable, x, divisor, **kwargs):
        """Multiply by the constant 1 / divisor."""
        if kwargs:
            self.refuse(f"divides with {', '.join(kwargs)}")
        return self.mul(torch.mul, x, 1.0 / divisor)

    def mean(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Average: constants 1/n on the edges."""
        out = func(x, *args, **kwargs)
        return out * (x.numel() / out.numel()) ** (1 - self.power)

    def avg_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Average pooling: constants 1/divisor on the edges."""
        out = func(x, *args, **kwargs)
        ones = x.new_ones(1, 1, *x.shape[2:])
        if func.__name__.startswith("adaptive"):
            divisor = _adaptive_counts(ones, out)
        else:
            window = dict(zip(WINDOW, args, strict=False)) | kwargs
            sums = {key: window[key] for key in WINDOW[:4] if key in window}
            divisor = window_sum(ones, **sums) / func(ones, *args, **kwargs)
        return out * divisor ** (1 - self.power)

    def max_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Max pooling: all of the window, or the winner of the real pass."""
        if self.gates is not None:
            winner = next(self.gates)
            return x.flatten(2).gather(2, winner.flatten(2)).view_as(winner)
        return self.every(func, x, *args, **kwargs)

    def every(
        self, func, x, kernel_size=None, stride=None, padding=0, dilation=1,
        ceil_mode=False, return_indices=False, output_size=None,
    ) -> Tensor:  # fmt: skip
        """Sum over the windows of a max pooling."""
        if return_indices:
            self.refuse("pools with return_indices: it has no path form")
        if func.__name__.startswith("adaptive"):
            pool = getattr(functional, func.__name__.replace("max", "avg"))
            out = pool(x, output_size or kernel_size)
            return out * _adaptive_counts(x, out)
        if bool((torch.as_tensor(dilation) != 1).any()):
            self.refuse(f"pools with dilation {dilation}: only 1 is taken")
        return window_sum(x, kernel_size, stride, padding, ceil_mode)

    def gate(self, func: Callable, x: Tensor, inplace=False, **ignored) -> Tensor:
        """ReLU and leaky ReLU: the identity on sums, or the gate of the real pass."""
        if self.gates is None:
            return x if inplace or func.__name__.endswith("_") else x.clone()
        is_open, slope = next(self.gates)
        return x * is_open + x * ~is_open * slope**2 if slope else x * is_open

    def leaky(self, func: Callable, x: Tensor, negative_slope=0.01, inplace=False):
        """As `gate`; the slope came with the real pass."""
        return self.gate(func, x, inplace)

    def batch_norm(
        self, func, x, mean, var, weight=None, bias=None, training=False,
        momentum=0.1, eps=1e-5,
    ) -> Tensor:  # fmt: skip
        """Eval mode: source -mean, constant 1/sqrt(var + eps), edge gamma, beta."""
        if training or not is_batch_norm(func):
            self.refuse("normalises by its batch, which couples all paths")
        shape = (1, -1, *[1] * (x.dim() - 2))
        out = x + self.source(mean.view(shape)) if self.sources else x
        out = out * self.lift((var + eps).rsqrt().view(shape))
        if weight is not None:
            out = out * self.lift(weight).view(shape)
        if bias is None:
            return out
        bias = self.source(bias)
        return out + bias.view(shape) if isinstance(bias, Tensor) else out


WINDOW = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")


def window_sum(
    x: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False
) -> Tensor:
    """Sum each pooling window of (n, c, *space), padding counted as zero."""
    if x.dim() > 3:
        pool = functional.avg_pool2d if x.dim() == 4 else functional.avg_pool3d
        stride = stride or kernel_size
        return pool(x, kernel_size, stride, padding, ceil_mode, divisor_override=1)
    sizes = [_only(each) for each in (kernel_size, stride or kernel_size, padding)]
    kernel, step, pad = ((neutral, size) for neutral, size in
                         zip((1, 1, 0), sizes, strict=True))  # fmt: skip
    return window_sum(x[:, :, None], kernel, step, pad, ceil_mode)[:, :, 0]


def _only(size) -> int:
    """Take the number out of 3 or (3,)."""
    return size[0] if isinstance(size, (tuple, list)) else size


def _adaptive_counts(x: Tensor, out: Tensor) -> Tensor:
    """Count the positions in each window of an adaptive pooling of x to out."""
    counts = x.new_ones(())
    for size, parts in zip(x.shape[2:], out.shape[2:], strict=True):
        part = torch.arange(parts, device=x.device)
        lengths = -(-(part + 1) * size // parts) - part * size // parts
        counts = counts[..., None] * lengths
    return counts


class Reach(Algebra):
    """Which tensors carry a path at all: 0 or 1, forwards and backwards.

    Every sum is cut back to 1, so that neither depth nor width leaves the range.
    """

    def __init__(self, *, sources: bool = True) -> None:
        super().__init__(0, sources=sources)

    def linear(self, func: Callable, *args, **kwargs) -> Tensor:
        """Cut back what a layer sums."""
        return Once.apply(super().linear(func, *args, **kwargs))

    def add(self, func: Callable, a, b, alpha=1) -> Tensor:
        """Cut back what an addition sums."""
        return Once.apply(super().add(func, a, b, alpha))

    sub = add

    def mean(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Cut back what an average sums."""
        return Once.apply(super().mean(func, x, *args, **kwargs))

    sum = mean

    def avg_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Cut back what a pooling sums."""
        return Once.apply(super().avg_pool(func, x, *args, **kwargs))

    def max_pool(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Cut back what a pooling sums."""
        return Once.apply(super().max_pool(func, x, *args, **kwargs))

    def batch_norm(self, func: Callable, x: Tensor, *args, **kwargs) -> Tensor:
        """Cut back the sum of signal, mean and bias."""
        return Once.apply(super().batch_norm(func, x, *args, **kwargs))


class Once(torch.autograd.Function):
    """1 where positive, in the forward pass and in the backward pass."""

    on_paths = True  # see `readable.check_backward`

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Cut the sums back."""
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        """Cut the gradients back."""
        return (grad > 0).to(grad.dtype)
