"""Tables of a study beside the published numbers."""
