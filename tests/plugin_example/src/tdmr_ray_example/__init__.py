"""A plug-in of tdmr_ray."""
