"""Number of examples: 40 for each test, or as many as the environment variable EXAMPLES says."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    max_examples=int(os.environ.get("EXAMPLES", "40")),
    derandomize="EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("repeatable")
