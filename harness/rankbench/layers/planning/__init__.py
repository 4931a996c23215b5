"""Choose the contraction and kernel of a layer, by a cost model or by measurement, and run it."""
