"""Images, splits and seeded views; independent of networks."""
