"""What is wrong with stored results, and mending it."""
