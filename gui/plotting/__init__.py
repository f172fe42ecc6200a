"""Plots as this program wants them, around those of pyqtgraph."""
