"""What the operator and the authority have signed: parties, licences, consents, catalogue."""
