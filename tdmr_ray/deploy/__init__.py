"""The shipped model: opening, running and exporting it."""
