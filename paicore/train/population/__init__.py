"""Many masked networks of one architecture, trained as if each were alone.

The way through the files: `training` checks and chooses an engine; `loop` calls `fit`
member by member; the other engine stacks members (`stack`) into one `program`, feeds
it from every member's own draws (`stream`), and trains as many of them together as
the memory holds (`chunks`, `memory`, `engine`).

Shapes: stacked parameters and buffers are (M, ...) over M members; stacked batches are
(b, M, ...), samples first, which is how a grouped convolution wants its channels.
"""

from paicore.train.population.members import Member
from paicore.train.population.training import population

__all__ = ["Member", "population"]
