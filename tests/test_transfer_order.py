"""An order of one's own: which samples make which batch, and what is refused."""

import pytest
import test_transfer_checkpoint as checkpoints
import torch
import transfer_references as references

from paicore import seeds, transfer

N, BATCH = 20, 6  # three batches per epoch, two samples left over


def order(epoch, name="mine"):
    return torch.randperm(N, generator=seeds.generator(epoch, "order", name))


def run(given=order, seed=0, **options):
    settings = {
        "density": 0.4, "steps": 8, "frequency": 2, "batch": BATCH, "lr": 0.02,
        "log_every": 8, "dtype": torch.float64, "progress": False,
    }  # fmt: skip
    return transfer.neural_tangent_transfer(
        references.mlp(), references.inputs(N, 6), order=given,
        generator=seeds.generator(seed, "own order"), **settings | options,
    )  # fmt: skip


def test_batches_follow_the_order_epoch_by_epoch_and_the_rest_is_dropped():
    asked = []

    def spied(epoch):
        asked.append(epoch)
        return order(epoch)

    found = run(spied)
    assert asked == [0, 1, 2]
    batches = [order(step // 3)[step % 3 * BATCH :][:BATCH] for step in range(8)]
    theta, masks = references.transfer(
        references.mlp(), references.inputs(N, 6), batches, density=0.4, frequency=2,
        lr=0.02, tangent="masked", kernel_weight=1e-3, l2=1e-4,
    )  # fmt: skip
    assert found.masks == masks
    for name, value in theta.items():
        torch.testing.assert_close(found.theta[name], value, rtol=1e-7, atol=1e-9)


def test_an_order_decides_alone_and_the_same_one_gives_the_same_bits():
    one, other, none = run(), run(seed=1), run(None)
    assert one.log == other.log
    assert all(torch.equal(v, other.theta[n]) for n, v in one.theta.items())
    assert any(not torch.equal(v, none.theta[n]) for n, v in one.theta.items())
    small = run(lambda epoch: order(epoch).to(torch.int16))
    assert all(torch.equal(v, small.theta[n]) for n, v in one.theta.items())


@pytest.mark.parametrize(
    "found",
    [
        list(range(N)), torch.arange(N - 1), torch.arange(N) + 1,
        torch.zeros(N, dtype=torch.long), torch.arange(N).view(4, 5),
        torch.arange(N) + 0.5, None,
    ],
    ids=["list", "short", "beyond", "repeated", "square", "floating", "none"],
)  # fmt: skip
def test_what_is_no_permutation_is_refused_with_its_epoch(found):
    with pytest.raises(ValueError, match=r"^order: expected a perm.* for epoch 0, got"):
        run(lambda epoch: found)
    with pytest.raises(ValueError, match=r"^order: expected a perm.* for epoch 1, got"):
        run(lambda epoch: found if epoch else order(epoch))


def test_an_order_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"^order: expected a function of the epoch"):
        run(order(0))


def test_a_run_with_an_order_goes_on_bit_for_bit(tmp_path):
    path, options = tmp_path / "run.npz", {"order": order, "steps": 20, "log_every": 4}
    whole = checkpoints.flat(checkpoints.run(**options))
    checkpoints.interrupted(path, 8, **options)
    again = checkpoints.flat(checkpoints.run(checkpoint=path, **options))
    checkpoints.same(again, whole)


def test_the_checkpoint_of_another_order_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    run(checkpoint=path)
    for other in (None, lambda epoch: order(epoch, "other")):
        with pytest.raises(ValueError, match=r"checkpoint: .* with another order "):
            run(other, checkpoint=path)
