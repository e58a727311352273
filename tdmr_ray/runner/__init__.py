"""The only room that knows Ray: who runs which trial, where, and for how long."""
