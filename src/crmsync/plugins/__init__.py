"""The outside, declared: what a plugin can bring, and how it is found."""
