"""crmsync gives attention to every account of a company that already has a CRM."""
