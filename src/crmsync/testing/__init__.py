"""The conformance kit: laws that every connector keeps."""
