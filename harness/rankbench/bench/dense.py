"""Rebuild dense weights from cores by the definition of each format, to check contenders.

Letters: j, b outputs; i, a inputs; r, s, t ranks. All weights are (outputs, inputs), row-major.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Weight = Float[Tensor, "j i"]


def train_weight(cores: Sequence[Float[Tensor, "r a b s"]]) -> Weight:
    """Compute W[j, i] = sum_r prod_k G_k[r_{k-1}, i_k, j_k, r_k], with border ranks of 1."""
    weight = cores[0].new_ones(1, 1, 1)
    for core in cores:
        weight = torch.einsum("jir,rabs->jbias", weight, core).flatten(2, 3).flatten(0, 1)
    return weight.squeeze(-1)


def ring_weight(cores: Sequence[Float[Tensor, "r m s"]], inputs: int) -> Weight:
    """Compute W[j, i] = sum_r prod_k G_k[r_{k-1}, m_k, r_k], where the last rank is the first.

    Args:
        cores: G_k; m_k is an input mode in the first `inputs` cores and an output mode after them.
        inputs: Number of input modes.
    """
    from_input, to_output = _chain(cores[:inputs]), _chain(cores[inputs:])
    return torch.einsum("ris,sjr->ji", from_input, to_output)


def block_weight(core: Tensor, factors: Sequence[Float[Tensor, "a b r"]]) -> Weight:
    """Compute one block: W[j, i] = sum_r G[r_1, .., r_d] prod_k A_k[i_k, j_k, r_k]."""
    weight = core[None, None]
    for factor in factors:
        weight = torch.einsum("jir...,abr->jbia...", weight, factor).flatten(2, 3).flatten(0, 1)
    return weight


def tucker_weight(core: Tensor, factors: Sequence[Float[Tensor, "m r"]], outputs: int) -> Weight:
    """Compute W[j.., i..] = sum_r G[r..] prod_k U_k[m_k, r_k].

    Args:
        core: G.
        factors: U_k; the first `outputs` of them have output modes, the others input modes.
        outputs: Number of output modes.
    """
    weight = core
    for factor in factors:
        weight = torch.tensordot(weight, factor, dims=([0], [1]))
    return weight.flatten(outputs).flatten(0, outputs - 1)


def cp_weight(scale: Tensor, factors: Sequence[Float[Tensor, "m r"]], outputs: int) -> Weight:
    """Compute W[j.., i..] = sum_r scale_r prod_k U_k[m_k, r].

    Args:
        scale: Weight of each rank-one term.
        factors: U_k; the first `outputs` of them have output modes, the others input modes.
        outputs: Number of output modes.
    """
    return (_khatri_rao(factors[:outputs]) * scale) @ _khatri_rao(factors[outputs:]).T


def _chain(cores: Sequence[Float[Tensor, "r m s"]]) -> Float[Tensor, "r m s"]:
    chain = cores[0]
    for core in cores[1:]:
        chain = torch.einsum("ris,sat->riat", chain, core).flatten(1, 2)
    return chain


def _khatri_rao(factors: Sequence[Float[Tensor, "m r"]]) -> Float[Tensor, "m r"]:
    product = factors[0]
    for factor in factors[1:]:
        product = torch.einsum("ir,ar->iar", product, factor).flatten(0, 1)
    return product
