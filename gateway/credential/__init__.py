"""Enterprise credit credentials (SD-JWT VC) and their status, for partners who check offline."""
