"""Read a forward pass as steps along paths, or refuse it with the module's name.

A reading is a mode that is active while the network runs. It sees every call of a
torch function, so modules and functions (``nn.MaxPool2d``, ``F.max_pool2d``) are
treated alike. Each call belongs to one kind; a subclass gives each kind its meaning:
sums of path products (`algebra`), units (`rank`), an unrolled graph (`unroll`).

A tensor that carries paths has an attribute `walk`; a tensor without it is a constant.
Every path may use a parameter once: `walk` remembers which ones lie behind a tensor.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, NoReturn

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from paicore.forward.private import Guard
from paicore.kernels.paths.readable import check_backward, naming_shape


class Walk(NamedTuple):
    """What lies behind a tensor.

    Attributes:
        signal: True behind the input; False for a parameter or a view of one.
        edges: Names of the parameters met so far.
        last: Of a signal, names of the weights of the layers that it came from last.
    """

    signal: bool
    edges: frozenset[str]
    last: frozenset[str] = frozenset()


KINDS = {
    "shape": "flatten unflatten reshape view view_as permute transpose t T mT squeeze "
    "unsqueeze contiguous chunk split tensor_split unbind narrow select index_select "
    "getitem expand expand_as clone movedim swapaxes flip roll repeat pixel_shuffle "
    "pixel_unshuffle channel_shuffle",
    "join": "cat concat concatenate stack hstack vstack",
    "linear": "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d matmul mm",
    "add": "add radd iadd",
    "sub": "sub subtract rsub isub",
    "mul": "mul multiply rmul imul",
    "div": "div divide true_divide truediv itruediv",
    "neg": "neg negative",
    "mean": "mean",
    "sum": "sum",
    "pad": "pad",
    "gate": "relu",
    "leaky": "leaky_relu",
    "batch_norm": "batch_norm",
    "dropout": "dropout dropout1d dropout2d dropout3d alpha_dropout "
    "feature_alpha_dropout",
}
CALLS = {name: kind for kind, names in KINDS.items() for name in names.split()}
POOLING = re.compile(r"(adaptive_)?(max|avg)_pool([123])d(_with_indices)?")
METADATA = frozenset({
    "size", "dim", "shape", "ndim", "numel", "nelement", "device", "dtype", "layout",
    "stride", "is_contiguous", "storage_offset", "is_floating_point", "is_complex",
    "requires_grad", "grad_fn", "is_leaf", "len", "is_cuda", "is_mps", "is_cpu",
    "is_sparse", "is_quantized", "is_nested", "is_meta", "is_same_size",
})  # fmt: skip
CURVED = frozenset({
    "tanh", "sigmoid", "gelu", "elu", "celu", "selu", "silu", "mish", "softplus",
    "softsign", "logsigmoid", "hardtanh", "relu6", "hardswish", "hardsigmoid",
    "softmax", "log_softmax", "softmin", "exp", "log", "sin", "cos", "tanhshrink",
    "hardshrink", "softshrink", "threshold", "glu", "clamp", "erf",
})  # fmt: skip
PATH_FORM = (
    "the path view takes Linear, Conv, eval-mode BatchNorm, ReLU, LeakyReLU, pooling, "
    "constants, reshaping and residual adds"
)


class Reading(TorchFunctionMode):
    """The base: classify each call, track what lies behind it, refuse the rest.

    A subclass defines methods named as the kinds (and ``max_pool``, ``avg_pool``),
    called as ``kind(func, *args, **kwargs)``; a missing one runs the call as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, nn.Module]] = []

    def run(self, net: nn.Module, parameters: Mapping[str, Tensor], x: Tensor):
        """Run the network on marked parameters and a marked input; return (n, k)."""
        hooks = list(self._name_calls(net))
        for name, value in parameters.items():
            value.walk = Walk(False, frozenset([name]))
        # the caller's tensor stays unmarked; all that depends on x has a grad_fn
        x = x.detach().requires_grad_().clone()
        x.walk = Walk(True, frozenset())
        self.start(x)
        try:
            with naming_shape(x), self, Guard(getattr(net, "originals", {})):
                out = functional_call(net, dict(parameters), (x,))
        finally:
            for hook in hooks:
                hook.remove()
        if not isinstance(out, Tensor) or out.dim() != 2 or len(out) != len(x):
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(f"net: expected logits ({len(x)}, k), got {got}")
        if not hasattr(out, "walk") or not out.walk.signal:
            raise ValueError("net: expected logits that depend on the input")
        check_backward(out)
        return out

    def start(self, x: Tensor) -> None:
        """Prepare the input; nothing unless a subclass keeps more of a signal."""

    def _name_calls(self, net: nn.Module) -> Iterator:
        """Keep the modules that are running on the stack, for messages."""
        for path, module in net.named_modules():
            entry = (path, module)
            yield module.register_forward_pre_hook(
                lambda m, args, entry=entry: self.stack.append(entry)
            )
            yield module.register_forward_hook(
                lambda m, args, out: self.stack.pop() and None
            )

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Give the call its meaning and hand on what lies behind its result."""
        kwargs = dict(kwargs or {})
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        tensors = list(_tensors((args, tuple(kwargs.values()))))
        walks = [each.walk for each in tensors if hasattr(each, "walk")]
        name, in_place = _call_name(func, kwargs)
        if name not in METADATA:
            self._check_followed(tensors)
        if not walks or name in METADATA:
            return func(*args, **kwargs)
        signal = any(walk.signal for walk in walks)
        kind = self._kind(name, signal)
        args = _in_order(kind, args, kwargs)
        if kind in ("linear", "mul", "div", "batch_norm"):
            self._check_factors(kind, args, kwargs)
        if kind == "shape" and in_place:
            self.refuse(f"calls {name} in place")
        given = (_copied(args[0]), *args[1:]) if in_place and kind == "mul" else args
        out = getattr(self, kind, plain)(func, *given, **kwargs)
        walk = _behind(kind, walks, args)
        for each in out if isinstance(out, (tuple, list)) else (out,):
            each.walk = walk
        return _into(args[0], out) if in_place else out

    def _check_followed(self, tensors: list[Tensor]) -> None:
        """Refuse what depends on a signal, yet came from a call that was not seen."""
        if any(not hasattr(t, "walk") and t.grad_fn is not None for t in tensors):
            self.refuse("uses a signal after a call that cannot be read (torch.jit, "
                        f"an extension): {PATH_FORM}")  # fmt: skip

    def _kind(self, name: str, signal: bool) -> str:
        pool = POOLING.fullmatch(name)
        if pool and pool[4]:
            self.refuse(f"calls {name}: pooling that returns indices has no path form")
        kind = f"{pool[2]}_pool" if pool else CALLS.get(name)
        if name in CURVED:
            self.refuse(f"calls {name}: it is not positively homogeneous, so the "
                        "network is no sum over paths")  # fmt: skip
        if kind is None:
            self.refuse(f"calls {name}: {PATH_FORM}")
        if not signal and kind != "shape":
            self.refuse(f"calls {name} on weights before using them")
        return kind

    def _check_factors(self, kind: str, args: tuple, kwargs: dict) -> None:
        """Refuse products of signals, and parameters met twice on one path."""
        gain = kwargs.get("weight", args[3] if len(args) > 3 else None)
        pair = (args[0], gain) if kind == "batch_norm" else args[:2]
        walks = [each.walk for each in pair if hasattr(each, "walk")]
        if sum(walk.signal for walk in walks) > 1:
            self.refuse("multiplies two signals: its output is no sum over paths")
        if kind == "div" and hasattr(pair[1], "walk"):
            self.refuse("divides by a signal or a parameter: no path form")
        if len(walks) == 2 and walks[0].edges & walks[1].edges:
            tied = sorted(walks[0].edges & walks[1].edges)
            self.refuse(f"uses {', '.join(tied)} again: a weight tied across depth is "
                        "on a path twice")  # fmt: skip

    def refuse(self, reason: str) -> NoReturn:
        """Stop, naming the module that is running."""
        path, module = self.stack[-1] if self.stack else ("", None)
        raise ValueError(f"net: {type(module).__name__} {path!r} {reason}")

    def join(self, func: Callable, tensors, *args, **kwargs):
        """Concatenate signals; refuse parameters and constants that are not zero."""
        for each in tensors:
            if hasattr(each, "walk") and not each.walk.signal:
                self.refuse("joins a signal with parameters: it is added to nothing")
            if not hasattr(each, "walk") and bool((each != 0).any()):
                self.refuse("joins a signal with constants")
        return func(tensors, *args, **kwargs)

    def pad(self, func: Callable, x, pad, mode="constant", value=None):
        """Pad by zeros or by copies."""
        if value:
            self.refuse(f"pads by {value}: only zeros and copies have a path form")
        return func(x, pad, mode=mode)

    def dropout(self, func: Callable, x, p=0.5, training=True, **kwargs):
        """Leave the signal as it is: dropout is off."""
        if training and p:
            self.refuse("drops out at random although the network is in eval mode")
        return x.clone()


def plain(func: Callable, *args, **kwargs):
    """Run a call as it is."""
    return func(*args, **kwargs)


def _tensors(nested) -> Iterator[Tensor]:
    """Find the tensors in nested arguments."""
    for each in nested:
        if isinstance(each, (tuple, list)):
            yield from _tensors(each)
        elif isinstance(each, Tensor):
            yield each


SECOND = {"linear": ("weight", "other", "mat2")} | dict.fromkeys(
    ("add", "sub", "mul", "div"), ("other",)
)


def _in_order(kind: str, args: tuple, kwargs: dict) -> tuple:
    """Put the second operand in its place, also if it was given by its name."""
    for name in SECOND.get(kind, ()):
        if name in kwargs and len(args) == 1:
            args = (*args, kwargs.pop(name))
    return args


def _behind(kind: str, walks: list[Walk], args: tuple) -> Walk:
    """Join what lies behind the arguments of a call."""
    signal = any(walk.signal for walk in walks)
    factors = [each.walk for each in args[:2] if hasattr(each, "walk")]
    weights = [walk.edges for walk in factors if not walk.signal]
    # a product with a constant is no layer
    last = weights if weights and kind == "linear" else [walk.last for walk in walks]
    edges = [walk.edges for walk in walks]
    return Walk(signal, frozenset().union(*edges), frozenset().union(*last))


def _copied(x: Tensor) -> Tensor:
    """Copy what an in-place call overwrites and the backward pass may need."""
    copy = x.clone()
    copy.__dict__.update(x.__dict__)
    return copy


def _call_name(func: Callable, kwargs: Mapping) -> tuple[str, bool]:
    """Return the name without underscores, and whether the call works in place."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":  # reading a property: x.shape, x.T
        name = func.__self__.__name__
    bare = name.strip("_")
    in_place = name.endswith("_") and not name.endswith("__")
    augmented = name.startswith("__i") and bare in ("iadd", "isub", "imul", "itruediv")
    known = bare if bare in CALLS or bare in METADATA or bare in CURVED else name
    return known, in_place or augmented or bool(kwargs.get("inplace"))


def _into(target: Tensor, out: Tensor) -> Tensor:
    """Write a result where an in-place call would have written it."""
    if out is not target:
        target.copy_(out)
        target.__dict__.update(out.__dict__)
    return target


def is_batch_norm(func: Callable) -> bool:
    """Tell whether the call has the arguments of ``functional.batch_norm``."""
    return func is functional.batch_norm
