"""The road of one request: plan, intent, scan, enforce, gate, outcome."""
