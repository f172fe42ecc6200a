"""From a sweep to the point table: what will be measured, in which order, at what cost."""
