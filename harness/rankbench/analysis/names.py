"""The names that figures, tables and reports print for decompositions and for verdicts."""

from __future__ import annotations

# A family shares one colour in every figure. It is a decomposition of LAYERS, or exact least
# squares, which is no layer.
LEAST_SQUARES = "least_squares"

NAMES: dict[str, str] = {
    "dense": "dense",
    LEAST_SQUARES: "linear regression",
    "low_rank": "low rank",
    "cp": "CP",
    "tucker": "Tucker",
    "block_term": "block term",
    "tensor_train": "tensor train",
    "tensor_ring": "tensor ring",
}
SHORT: dict[str, str] = NAMES | {"block_term": "BT", "tensor_train": "TT", "tensor_ring": "TR"}

# The verdicts on claims of the papers. verdicts.csv and the JSON output hold these texts,
# so do not change them.
REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted by arithmetic"
NOT_COMPARABLE = "not comparable"
NOT_MEASURED = "not measured"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, CONTRADICTED, NOT_COMPARABLE, NOT_MEASURED)
