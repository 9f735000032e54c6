"""How large a tangent kernel is, and how much of it the biases are."""

from dataclasses import dataclass

from paicore.experiments.kernels_setting import Setting, batch, draws, network
from paicore.kernels import ntk
from paicore.scores import prune

TRACES_VALUES = ("trace", "bias_share")


@dataclass(frozen=True)
class Traces(Setting):
    """Traces of a randomly masked network's kernels; methods are tangent spaces.

    Attributes:
        bias_init: As in `nets.build`.
    """

    methods: tuple[str, ...] = ("masked", "ambient")
    bias_init: str = "torch"


def run_traces(config: Traces, cell: dict) -> list[dict]:
    """Measure the trace and the biases' share of it, in the setting of ``tangent``."""
    seed = cell["seed"]  # the same networks, batches and masks, too
    net = network(config, seed, bias_init=config.bias_init)
    x, _ = batch(config, seed)
    masks = prune(
        net, "random", density=cell["density"],
        generator=draws(config, seed, "masks"), progress=False,
    )  # fmt: skip
    options = {"masks": masks, "tangent": cell["method"], "progress": False}
    whole = float(ntk.trace(net, x, **options))
    weights = float(ntk.trace(net, x, params="prunable", **options))
    return [{"step": 0, "trace": whole, "bias_share": 1 - weights / whole}]
