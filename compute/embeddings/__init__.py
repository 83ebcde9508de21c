"""Word vectors of single languages, maps between them, and what such a map is worth."""
