"""Optuna studies, pruning, allocation and budgets. Knows Optuna, not Ray."""
