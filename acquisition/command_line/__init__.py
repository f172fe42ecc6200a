"""The commands of `cryoscan`, a file for what belongs together."""
