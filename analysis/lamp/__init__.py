"""What a calibration lamp tells: the wavelength axis and the instrument profile."""
