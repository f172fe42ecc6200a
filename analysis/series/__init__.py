"""Many spectra of one nanocrystal at once."""
