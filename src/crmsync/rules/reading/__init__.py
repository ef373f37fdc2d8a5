"""Rules, segments and conditions, read from what people wrote: each mistake at its place."""
