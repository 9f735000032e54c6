"""Bad arguments of `nets.build`: named in the message, with nothing drawn."""

import inspect
import math

import pytest
import torch

from paicore import nets

BAD = [
    ("resnet21", {}, ValueError, "^name: .*'resnet21'; did you mean .*resnet20"),
    ("vgg16", {"batch_norm": True}, ValueError, "^batch_norm: vgg16 does not take"),
    ("mlp", {"widht": 3}, ValueError, "^widht: mlp .* it takes width, depth"),
    ("resnet20", {"depth": 32}, ValueError, "^depth: resnet20 does not take"),
    ("lenet_300_100", {"width": 3}, ValueError, "^width: lenet_300_100 does not"),
    ("torchvision_resnet18", {"width": 3}, ValueError, "^width: .* takes no options"),
    ("resnet", {"depth": 21}, ValueError, r"^depth: expected 6n \+ 2 .* got 21"),
    ("resnet", {"depth": 2}, ValueError, r"^depth: expected 6n \+ 2"),
    ("mlp", {"depth": 0}, ValueError, "^depth: .* got 0"),
    ("mlp", {"width": (5, 5), "depth": 2}, ValueError, "^depth: expected 3 .* got 2"),
    ("mlp", {"width": (5, 0)}, ValueError, "^width: .* got 0"),
    ("cnn", {"width": 1.5}, ValueError, "^width: .* got 1.5"),
    ("cnn", {"width": True}, ValueError, "^width: .* got True"),
    ("cnn", {"kernel": 4}, ValueError, "^kernel: expected an odd int, got 4"),
    ("cnn", {"readout": "max"}, ValueError, "^readout: expected one of .* got 'max'"),
    ("cnn", {"in_shape": (3, 1, 8), "kernel": 5}, ValueError, "^in_shape: .* least 2"),
    ("cnn", {"in_shape": (64,)}, ValueError, r"^in_shape: .* got \(64,\)"),
    ("cnn", {"in_shape": [3, 8, 8]}, ValueError, "^in_shape: expected a tuple"),
    ("mlp", {"in_shape": ()}, ValueError, "^in_shape: expected a tuple"),
    ("vgg11", {"in_shape": (1, 8, 8)}, ValueError, r"^in_shape: .* 32, got \(1, 8, 8"),
    ("vgg11", {"in_shape": (3, 48, 48)}, ValueError, "^in_shape: .* multiples of 32"),
    ("conv4_valid", {"in_shape": (1, 8, 8)}, ValueError, "^in_shape: .* least 16"),
    ("conv6", {"in_shape": (1, 7, 9)}, ValueError, "^in_shape: .* least 8"),
    ("torchvision_resnet18", {"in_shape": (1, 32, 32)}, ValueError, "^in_shape: .* 3 "),
    ("mlp", {"classes": 0}, ValueError, "^classes: .* got 0"),
    ("mlp", {"activation": "swish"}, ValueError, "^activation: .* relu, .*'swish'"),
    ("mlp", {"bias": "no"}, TypeError, "^bias: expected True or False, got 'no'"),
    ("mlp", {"init": "xavier"}, ValueError, "^init: expected one of 'he', .*'xavier'"),
    ("mlp", {"init": ("he", "fan")}, ValueError, "^init: "),
    ("mlp", {"init": ("gaussian", 1)}, ValueError, "^init: .*sigma_w, sigma_b"),
    ("mlp", {"init": ("gaussian", 1, -1)}, ValueError, "^init: "),
    ("mlp", {"bias_init": "ones"}, ValueError, "^bias_init: expected one of zero"),
    (
        "mlp",
        {"init": ("gaussian", 1, 0), "bias_init": "zero"},
        ValueError,
        "^bias_init: sigma_b",
    ),
    ("mlp", {"dtype": torch.int64}, TypeError, "^dtype: "),
    ("mlp", {"dtype": "float32"}, TypeError, "^dtype: "),
    (
        "resnet",
        {"stable": True, "branch_factor": 0.5},
        ValueError,
        "^branch_factor: give it or stable",
    ),
    ("resnet", {"branch_factor": math.nan}, ValueError, "^branch_factor: .* got nan"),
    ("resnet", {"stable": 1}, TypeError, "^stable: "),
]


@pytest.mark.parametrize(("name", "options", "error", "message"), BAD)
def test_bad_arguments_are_named_and_nothing_is_drawn(name, options, error, message):
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    with pytest.raises(error, match=message):
        nets.build(name, **{"in_shape": (3, 32, 32), "generator": generator} | options)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("generator", [None, 0, "seed"])
def test_the_generator_must_be_one(generator):
    with pytest.raises(TypeError, match=r"^generator: expected a torch\.Gen"):
        nets.build("mlp", in_shape=(4,), generator=generator)


@pytest.mark.parametrize("missing", ["in_shape", "generator"])
def test_shape_and_generator_have_no_default(missing):
    parameter = inspect.signature(nets.build).parameters[missing]
    assert parameter.default is parameter.empty
