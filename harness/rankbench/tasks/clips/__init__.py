"""Tasks `action`, `features` and `motion`: classify clips."""
