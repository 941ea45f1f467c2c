// Pins where the custom resources come from that deploy/ has objects of: scripts/custom-resources takes the definitions out of these
// modules as their projects publish them. To move to another release, put it here, and the checksum that "go mod download -json" tells
// of it into go.sum.
module trafficmetrics.test/custom-resources

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
	istio.io/api v1.31.1
)
