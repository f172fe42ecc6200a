"""Spectra from files of all kinds."""
