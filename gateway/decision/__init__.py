"""One hermetic policy decision per request, in either engine."""
