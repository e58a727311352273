"""Images, splits and seeded views. Knows nothing about networks."""
