"""The papers' claims, and verdicts on them from the results present."""
