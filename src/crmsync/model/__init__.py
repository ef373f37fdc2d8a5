"""The words that all of crmsync shares: tables, durations, actions, pages, verdicts."""
