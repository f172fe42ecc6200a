"""The run that is shown: its rows, fits and events, wherever they come from."""
