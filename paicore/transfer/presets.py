"""The settings of the released demos, verbatim, as keywords of the transfer."""

from collections.abc import Mapping
from types import MappingProxyType

_DEMO = {
    "tangent": "ambient",
    "block": "cross",
    "estimator": "exact",
    "normalise": "raw",
    "count_rule": "ntt",
    "scope": "layerwise",
    "first_masks": "magnitude",
    "update_masks": True,
    "frequency": 100,
    "steps": 18_720,  # 20 epochs of 936, the logged count, on 59,880 images
    "batch": 64,
    "lr": 5e-4,
    "optimizer": "adam",
    "kernel_weight": 1e-3,
    "target_weight": 1.0,
    "l2_over_density": True,
    "moments": "keep",
}

# fmi-basel/neural-tangent-transfer notebooks/ntt_demo_mlp.ipynb and ntt_demo_cnn.ipynb.
# Their density is 0.03; networks are drawn with init="glorot_truncated",
# bias_init="normal".
PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType({
    "official_mlp": MappingProxyType({**_DEMO, "l2": 1e-4}),
    "official_cnn": MappingProxyType({**_DEMO, "l2": 1e-5}),
})  # fmt: skip
