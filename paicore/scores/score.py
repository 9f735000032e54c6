"""What a score is: a pure function and what it needs to be run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NEEDS = frozenset({"shape", "inputs", "labels", "generator"})


@dataclass(frozen=True)
class Score:
    """One entry of SCORES.

    Attributes:
        function: ``function(net, masks, batch, *, generator, **options)`` to a dict
            name -> tensor shaped like the weight, larger means keep. Pure.
        paper: Where the score comes from.
        needs: What it needs of `batch` and `generator`: "shape" (only the shape of
            the inputs), "inputs", "labels", "generator".
        defaults: Loop settings (rounds, schedule, scope, count_rule) and options of
            the function; explicit arguments of `prune` override them.
        revives: Whether pruned weights compete again in later rounds.
        engine: Optional faster equal of `function` for many rounds, see
            `paicore.masks.loop.Engine`: ``engine(net, masks, batch, **options)``.
        name: What messages call it, in SCORES its key; empty: the function's own.
    """

    function: Callable[..., dict]
    paper: str = ""
    needs: frozenset[str] = frozenset()
    defaults: Mapping[str, object] = field(default_factory=dict)
    revives: bool = False
    engine: Callable | None = None
    name: str = ""

    def __post_init__(self) -> None:
        """Freeze the two containers and refuse unknown needs."""
        unknown = set(self.needs) - NEEDS
        if unknown:
            raise ValueError(f"needs: expected some of {sorted(NEEDS)}, got {unknown}")
        object.__setattr__(self, "needs", frozenset(self.needs))
        object.__setattr__(self, "defaults", MappingProxyType(dict(self.defaults)))
