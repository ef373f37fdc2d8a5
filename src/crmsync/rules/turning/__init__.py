"""When the passing of time alone turns a verdict."""
