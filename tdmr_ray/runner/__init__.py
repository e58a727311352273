"""Everything that imports Ray: actors, Ray Train, leases, the storage mirror and the driver loop."""
