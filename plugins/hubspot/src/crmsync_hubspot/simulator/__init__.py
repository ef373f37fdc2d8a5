"""A simulated HubSpot portal: a strict HTTP server on this machine, and no real data.

It knows the part of the CRM APIs that the connector uses, and refuses the rest.
Source of shapes, limits and words: https://developers.hubspot.com/docs, as of autumn 2026.
"""
