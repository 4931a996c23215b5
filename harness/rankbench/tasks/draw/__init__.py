"""Task `draw`: train DRAW, which encodes and draws pictures step by step."""
