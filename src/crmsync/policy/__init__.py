"""The ordered gates that every action passes."""
