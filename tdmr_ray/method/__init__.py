"""The mathematics of reprogramming and progressive distillation, on tensors. Knows nothing about data sets or Ray."""
