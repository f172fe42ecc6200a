"""A sweep file that is being edited: its text, its fields, what the check says of it."""
