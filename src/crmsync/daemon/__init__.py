"""The clock that runs cycles: day and night, unattended."""
