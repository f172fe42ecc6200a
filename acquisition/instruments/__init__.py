"""The instruments of a station: opening them, moving them, reading them."""
