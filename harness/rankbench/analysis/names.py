"""What figures, tables and reports call things."""

from __future__ import annotations

# A family is what shares a colour: a decomposition in LAYERS, or exact least squares.
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

# Verdicts on the claims of the papers.
REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted by arithmetic"
NOT_COMPARABLE = "not comparable"
NOT_MEASURED = "not measured"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, CONTRADICTED, NOT_COMPARABLE, NOT_MEASURED)
