"""Claims: the paper's value, ours, and a verdict that follows from a rule.

One file ``notebooks/claims/NN_slug.toml`` per notebook holds a list ``[[claim]]``:

``id``             "K1", "K2", ...
``says``           the claim, one testable sentence
``quantity``       optional: its short form for the table; default: `says`
``where``          its place in the paper; the table shows it up to the first comma
``experiment``     name of the experiment whose rows decide
``requires``       list of config fields that must equal the paper's
``paper_setting``  the paper's value of each of these, a table with the same keys

``reduce``         how rows become one number per seed, and one number of these:
    ``column``       a value column
    ``statistic``    over the seeds: "mean" (default), "sd", "min", "max", "median";
                     "last" is "mean" and says that the step is the last; "spread" is
                     the greatest less the least mean of the places in `among`, over
                     the seeds that all have (rule `bound` or `equal`)
    ``among``, ``by``      of a spread: list of places, and the column that they name,
                     "method" (default), "variant" or "density"
    ``method``, ``density``, ``variant``   filters, each optional
    ``step``         "last" (default: of each run), an int, or "all"
    ``scale``        factor on our values, for example 100 for percent; default 1
    Only "min" and "max" may see several values of one seed.

``paper``          ``letter``: R read, C public code, L the authors' log, D derived
                   here, P digitised, M recalled; ``value`` (not for orderings and
                   trends), ``spread``, ``n``, ``reading_error`` (a P value needs it)

``rule``           ``kind`` and what it needs:
    ``within``       ``cap``: |ours - value| <= max(spread, reading_error, our sd up to
                     cap)
    ``equal``        ``tolerance``: |ours - value| <= tolerance
    ``bound``        ``sense``: "<=" or ">=", ours against value
    ``ordering``     ``order``: list, largest first; ``by``: the column that it names,
                     "method" (default), "variant" or "density"; ``at``: optional table
                     of more filters. Each neighbour of the list must beat the next:
                     in every paired seed (at least 3), or by a mean paired difference
                     above two standard errors.
    ``trend``        ``along``: "density", "step" or "variant" (a number as text);
                     ``sign``: "+" or "-"; ``least``: smallest rank correlation that
                     counts, default 0.8. At least three points. With 3 seeds or more
                     Spearman's correlation of every seed must reach `least`; with
                     fewer the means must be strictly monotone.
    A number (within, equal, bound) may carry an ordering or a trend as well: then
    both must hold for "reproduced", and the ordering alone is "direction only".

Verdicts, the first that fits: "not run"; "not comparable" (letter M, or `requires` not
met and no ordering holds); "reproduced"; "direction only"; "not reproduced".
"""

from paicore.claims.schema import Claim, load
from paicore.claims.tables import scorecard, table
from paicore.claims.verdicts import Verdict, evaluate

__all__ = ["Claim", "Verdict", "evaluate", "load", "scorecard", "table"]
