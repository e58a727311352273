"""Plain PyTorch: from a `TrialConfig` to a trained target. Knows nothing about Ray."""
