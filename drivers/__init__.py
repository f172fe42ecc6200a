"""The instruments: wire to role, nothing else."""
