"""The space file that `tdmr init` writes: one pure function for each decision, which gives its reason as well."""
