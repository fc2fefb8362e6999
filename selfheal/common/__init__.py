"""What every program stands on; imports nothing of the exporter, the remediator or the stack."""
