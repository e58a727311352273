"""Reprogramming and progressive distillation as components on tensors; independent of data sets and Ray."""
