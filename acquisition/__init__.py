"""The sweep, the engine, the journal, the safety and the command line."""
