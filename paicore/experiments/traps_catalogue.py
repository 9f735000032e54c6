"""The list of traps: what it is, in which public code, and which test notices it.

`tests/test_experiments_traps.py` puts each wrong version in the place of ours and
checks that the test named here then fails.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trap:
    """One trap.

    Attributes:
        theme: Section of the notebook.
        name: Short name.
        where: Repositories, and a file where one decides.
        test: File and function below ``tests/``.
    """

    theme: str
    name: str
    where: str
    test: str


def _theme(theme: str, *rows: tuple[str, str, str]) -> tuple[Trap, ...]:
    return tuple(Trap(theme, *row) for row in rows)


_DERIVATIVE = (
    "test_scores_gradient.py::"
    "test_grasp_is_the_finite_difference_of_half_the_squared_gradient_norm"
)
_ONE_BATCH = (
    "test_experiments_traps.py::"
    "test_grasp_with_batch_norm_is_a_derivative_over_one_batch"
)

TRAPS = (
    *_theme(
        "counting",
        (
            "ties fall together",
            "ganguli-lab/Synaptic-Flow Pruners/pruners.py and two that follow it",
            "test_masks.py::test_all_equal_scores_keep_exactly_the_count_on_resnet20",
        ),
        (
            "off by one",
            "fmi-basel/neural-tangent-transfer, facebookresearch/open_lth, "
            "alecwangcq/GraSP, naver/force",
            "test_masks.py::test_counts_at_five_percent_are_the_recorded_ones",
        ),
        (
            "one word, two meanings",
            "ganguli-lab/Synaptic-Flow, naver/force: share kept; "
            "ShreyasMalakarjunPatil/PHEW, avysogorets/effective-sparsity: removed",
            "test_masks.py::test_all_equal_scores_keep_exactly_the_count_on_resnet20",
        ),
        (
            "last density only",
            "fmi-basel/neural-tangent-transfer nt_transfer/ntt.py",
            "test_experiments_traps.py::test_a_sweep_returns_every_density",
        ),
        (
            "quit on a mismatch",
            "ganguli-lab/Synaptic-Flow prune.py",
            "test_experiments_traps.py::test_what_cannot_be_pruned_ends_no_program",
        ),
    ),
    *_theme(
        "masks",
        (
            "shuffle does nothing",
            "ganguli-lab/Synaptic-Flow, YiteWang/NTK-SAP Pruners/pruners.py",
            "test_masks.py::test_shuffle_moves_the_mask_and_keeps_every_layer_count",
        ),
        (
            "invert by v / v^2",
            "ganguli-lab/Synaptic-Flow Pruners/pruners.py and two that follow it",
            "test_experiments_traps.py::"
            "test_inverting_takes_signed_and_zero_scores_in_order",
        ),
        (
            "negative weights frozen",
            "rahulvigneswaran/Lottery-Ticket-Hypothesis-in-Pytorch main.py",
            "test_train_masks.py::test_training_equals_the_mask_in_the_forward_pass",
        ),
        (
            "argparse type=bool",
            "ganguli-lab/Synaptic-Flow main.py and two that follow it",
            "test_records.py::test_settings_that_cannot_be_meant_are_refused",
        ),
    ),
    *_theme(
        "synflow",
        (
            "float32 overflows",
            "ganguli-lab/Synaptic-Flow, YiteWang/NTK-SAP, iurada/px-ntk-pruning, "
            "uditsaxena/Synaptic-Flow",
            "test_scores_synflow.py::test_synflow_stays_in_range_at_depth",
        ),
        (
            "batch norm of a batch of one",
            "SamsungLabs/zero-cost-nas synflow_bn",
            "test_scores_synflow.py::test_synflow_folds_batch_norm_exactly",
        ),
        (
            "biases are paths too",
            "ganguli-lab/Synaptic-Flow Pruners/pruners.py",
            "test_scores_synflow.py::test_synflow_folds_batch_norm_exactly",
        ),
    ),
    *_theme(
        "grasp",
        (
            "sign reversed",
            "uditsaxena/Synaptic-Flow Pruners/pruners.py",
            _DERIVATIVE,
        ),
        (
            "direction behind a flag",
            "123Bailey123/Pruning (of sahibsin/Pruning) README.md",
            _DERIVATIVE,
        ),
        (
            "temperature unnamed",
            "SamsungLabs/zero-cost-nas: 1; alecwangcq/GraSP: 200",
            _DERIVATIVE,
        ),
        (
            "class-sorted halves",
            "alecwangcq/GraSP pruner/GraSP.py",
            _ONE_BATCH,
        ),
        (
            "two augmented batches",
            "ganguli-lab/Synaptic-Flow Pruners/pruners.py",
            _ONE_BATCH,
        ),
    ),
    *_theme(
        "snip",
        (
            "moduli per batch",
            "123Bailey123/Pruning (of sahibsin/Pruning)",
            "test_scores_gradient.py::"
            "test_snip_per_batch_sums_moduli_and_whole_does_not_depend_on_the_split",
        ),
        (
            "weights drawn again",
            "mil-ad/snip snip.py, alecwangcq/GraSP pruner/GraSP.py",
            "test_scores_gradient.py::"
            "test_snip_is_the_modulus_of_weight_times_gradient",
        ),
    ),
    *_theme(
        "side effects",
        (
            "weights changed by scoring",
            "YiteWang/NTK-SAP Pruners/pruners.py",
            "test_scores.py::"
            "test_pruning_leaves_the_network_and_the_random_state_as_they_were",
        ),
        (
            "ReLU replaced for all",
            "iurada/px-ntk-pruning lib/pruners.py",
            "test_experiments_traps.py::test_no_score_replaces_functional_relu",
        ),
    ),
    *_theme(
        "names",
        (
            "four SynFlow-L2",
            "uditsaxena/Synaptic-Flow: A, once B; iurada/px-ntk-pruning, "
            "ShreyasMalakarjunPatil/PHEW: C; D is ours",
            "test_experiments_traps.py::"
            "test_each_l2_formula_is_its_closed_form_over_enumerated_paths",
        ),
        (
            "path-kernel sum",
            "uditsaxena/Synaptic-Flow path_kernel.py",
            "test_experiments_traps.py::test_the_path_sum_of_weights_counts_weights",
        ),
    ),
)


def table(theme: str) -> str:
    """Return the traps of one theme as text, three lines each.

    Args:
        theme: "counting", "masks", "synflow", "grasp", "snip", "side effects" or
            "names".

    Returns:
        Name, where it is, and the test that notices it.

    Raises:
        ValueError: there is no such theme.
    """
    chosen = [trap for trap in TRAPS if trap.theme == theme]
    if not chosen:
        known = ", ".join(dict.fromkeys(trap.theme for trap in TRAPS))
        raise ValueError(f"theme: no {theme!r}; there are {known}")
    return "\n".join(
        f"{trap.name}\n    in    {trap.where}\n    test  {trap.test}" for trap in chosen
    )
