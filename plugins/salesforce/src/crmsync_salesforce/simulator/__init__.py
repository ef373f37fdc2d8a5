"""A simulated Salesforce org: a strict HTTPS server on this machine, and no real data.

It knows the part of the REST API that the connector uses, and refuses the rest.
"""
