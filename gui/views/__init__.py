"""Views of a run: spectrum, map, parameters, strips."""
