"""Many sources as one: who is asked, how each is, and what their answers come to, cluster by cluster."""
