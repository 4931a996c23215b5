"""Task `draw`: encode pictures and draw them, step by step."""
