"""Laws over a sweep: energies, widths and areas against field, temperature, angle, power."""
