"""Mutual recognition: agreements, tables, identifiers, issued reports and the forms of answers."""
