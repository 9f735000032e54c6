"""Keep freed memory in the process: fresh pages cost more than what is done in them."""

from functools import cache

import torch

LARGEST = 31 << 20  # bytes; glibc learns from blocks of up to 32 MiB


@cache
def keep_freed_memory() -> None:
    """Raise the amount of freed memory that glibc does not give back, to 62 MiB.

    glibc gives back what lies on top of its heap beyond twice the largest block freed
    so far, 256 KiB at first. A loop over a small network frees a few MiB in every turn
    and would get them back a page at a time in the next one; where pages are dear, on
    virtual machines, that takes longer than the products in them. One large block,
    never written to, teaches it. Other allocators do not notice.
    """
    torch.empty(LARGEST, dtype=torch.uint8, device="cpu")
