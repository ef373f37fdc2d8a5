"""A HubSpot portal, and a simulated one to try it on."""
