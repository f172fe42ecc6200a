"""Colours, words and manners of everything that is seen."""
