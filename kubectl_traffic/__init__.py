"""``kubectl traffic``: the questions people ask of traffic, in their words. It calls ``kubectl``, so it has its users and clusters."""
