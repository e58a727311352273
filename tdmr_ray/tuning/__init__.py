"""Optuna studies, pruning, allocation, budgets and the order of trials; imports Optuna and never Ray.

Two protocols are the seams for other algorithms: `trial_source.TrialSource` for a search backend, and `pruning.Pruner`
for an early-stopping rule.
"""
