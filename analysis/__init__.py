"""Spectra to energies, and energies to laws: pure numpy and scipy."""
