"""What a network may hold, and what surrounds a computation on its copy."""

import pytest
import torch
from torch import nn

from paicore.forward import isolation, private_copy
from paicore.forward.private import like


def net(**tensors):
    """A small network with more parameters or buffers."""
    made = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    for name, tensor in tensors.items():
        if isinstance(tensor, nn.Parameter):
            made.register_parameter(name, tensor)
        else:
            made.register_buffer(name, tensor)
    return made


NAN, INF = torch.tensor([1.0, torch.nan]), torch.tensor([0.0, -torch.inf])
REFUSED = {
    "parameter 'gain' holds NaN or infinity": {"gain": nn.Parameter(NAN)},
    "parameter 'gain' holds NaN": {"gain": nn.Parameter(INF)},
    "parameter 'gain' is complex": {"gain": nn.Parameter(torch.ones(2) * 1j)},
    "buffer 'table' holds NaN": {"table": NAN},
    "buffer 'table' is complex": {"table": torch.ones(2) * 1j},
}


@pytest.mark.parametrize("words", list(REFUSED))
def test_tensors_that_no_copy_can_stand_for_are_named(words):
    with pytest.raises(ValueError, match=f"^net: {words}"):
        private_copy(net(**REFUSED[words]), batch_norm="eval")


def test_a_bias_and_a_statistic_that_are_not_numbers_are_named():
    for module, name in ((0, "bias"), (1, "bias"), (1, "running_mean")):
        made = net()
        getattr(made[module], name).data[1] = torch.nan
        with pytest.raises(ValueError, match=f"'{module}.{name}' holds NaN"):
            private_copy(made, batch_norm="eval")


def test_infinity_in_a_buffer_and_overflowing_sums_are_taken():
    made = net(table=INF, gain=nn.Parameter(torch.full((3,), 3e38)))
    assert torch.equal(private_copy(made, batch_norm="eval").table, INF.double())


def test_inputs_take_the_dtype_of_the_first_floating_parameter():
    made = nn.Module()
    made.count = nn.Parameter(torch.ones(1, dtype=torch.long), requires_grad=False)
    made.layer = nn.Linear(3, 2).double()
    x = torch.tensor([0.5, 1.5])
    assert torch.equal(like(x, made), x.double())


def test_masks_of_another_kind_are_named():
    with pytest.raises(
        TypeError, match=r"^masks: expected a bool tensor for '0.weight'"
    ):
        private_copy(net(), masks={"0.weight": [[True]]}, batch_norm="eval")


def test_what_surrounds_a_computation_is_put_back():
    made = net()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
        with torch.no_grad(), isolation(made):
            assert not torch.is_autocast_enabled("cpu")
            assert torch.zeros(1).device.type == "cpu"
            assert torch.is_grad_enabled()
        assert torch.is_autocast_enabled("cpu")
        assert torch.zeros(1).device.type == "meta"
