"""Wavelength, energy, air and vacuum."""
