"""Tables of a study's results, beside the numbers that the papers publish."""
