"""Everything that imports Ray: actors, Ray Train, leases, the storage mirror and the driver loop."""

import os

os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
"""Ray reads this when it is imported. Its handler in C++ would answer SIGTERM with a stack trace and abort."""
