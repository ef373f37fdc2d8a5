"""What a person wrote down: YAML with places, settings, mappings, secrets."""
