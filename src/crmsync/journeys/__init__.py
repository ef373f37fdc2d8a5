"""Who is enrolled in which rule, until when."""
