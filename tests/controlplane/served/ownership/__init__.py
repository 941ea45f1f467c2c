"""Who owns whom: one fleet on a real kube-apiserver, its traffic told in four ways, and the answers worked out by hand."""
