"""A folder of exports is the CRM."""
