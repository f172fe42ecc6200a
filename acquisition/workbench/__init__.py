"""The engine in a process of its own: its bench, its queue, and who watches."""
