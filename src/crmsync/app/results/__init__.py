"""What the commands report, as values: ``cli/reports`` prints them as tables or as JSON."""
