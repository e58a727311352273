"""Plain PyTorch: from a `TrialConfig` to a trained target; independent of Ray."""
