"""Sources of traffic metrics: each folder one source, and the dialects they share. No source imports another."""
