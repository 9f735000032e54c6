"""When a run is given up, and when its result is doubtful."""

import math
import warnings

from paicore.forward.weights import all_finite
from paicore.transfer.objective import Terms
from paicore.transfer.result import Diverged
from paicore.transfer.settings import Settings
from paicore.transfer.state import State

FADED, STUCK = 0.1, 0.9  # shares of the first L2 and of the first distance
HOPELESS = 1000  # times the loss at first or of a network that is zero: diverged


def check_alive(
    settings: Settings, nothing: float, state: State, terms: Terms, step: int
) -> None:
    """Stop a run whose loss shows that it has diverged.

    Args:
        settings: The keywords.
        nothing: Loss, but for L2, of a network that is zero.
        state: What changes.
        terms: Terms of the step.
        step: The step, counted from 1.

    Raises:
        Diverged: the loss is not finite or hopeless.
    """
    matched, loss = (
        float(each(settings).detach()) for each in (terms.matched, terms.loss)
    )
    # the first row itself has no bound: batch norm may start a thin network anywhere
    worst = max(nothing, at_first(settings, state)) if state.log else math.inf
    if math.isfinite(loss) and matched <= HOPELESS * worst:
        return
    if not state.log:
        raise Diverged(
            f"the loss is {loss:.4g} already before the first step; lower "
            "kernel_weight, target_weight or l2, or scale the inputs",
            step,
        )
    shown = matched if math.isfinite(loss) else loss
    raise Diverged(
        f"the loss is {shown:.4g} at step {step} of {settings.steps}, not finite or "
        f"over {HOPELESS} times {worst:.4g}, the larger of its first value and that "
        f"of a network that is zero; {advice(settings)}",
        step,
        state.log,
    )


def check_values(settings: Settings, state: State) -> None:
    """Stop a run whose weights cannot be compared any more.

    Args:
        settings: The keywords.
        state: What changes, after a step.

    Raises:
        Diverged: a parameter is not finite.
    """
    for name, value in state.values.items():
        if not all_finite(value.detach()):
            raise Diverged(
                f"{name!r} holds NaN or infinity after step {state.step} of "
                f"{settings.steps}; {advice(settings)}",
                state.step,
                state.log,
            )


def warn_if_faded(settings: Settings, state: State) -> None:
    """Warn of a run that made the weights small and the kernel no better.

    So it goes where the kernel is small against `l2`: with the released settings in a
    network that is not initialised as the released one.

    Args:
        settings: The keywords.
        state: After the last step.
    """
    first, last = state.log[0], state.log[-1]
    faded = last["l2"] < FADED * first["l2"]
    if faded and last[settings.tangent] > STUCK * first[settings.tangent]:
        warnings.warn(
            f"the transfer brought the sum of squared weights from {first['l2']:.3g} "
            f"to {last['l2']:.3g}, and the {settings.tangent} kernel's distance only "
            f"from {first[settings.tangent]:.3g} to {last[settings.tangent]:.3g}; try "
            'normalise="relative" with kernel_weight=1, or a smaller l2',
            stacklevel=2,
        )


def advice(settings: Settings) -> str:
    """Return what to do about a run that has diverged."""
    return f"try a learning rate below {settings.lr:g}"


def at_first(settings: Settings, state: State) -> float:
    """Return the first loss on the validation block, but for L2."""
    first = state.log[0]
    weighted = settings.kernel_weight * first["kernel"]
    return weighted + settings.target_weight * first["target"]
