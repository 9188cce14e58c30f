"""Credit documents from abroad: verified, mapped, admitted, refreshed, withdrawn (互认, M58)."""
