//go:build tools

// Package tools pins the definitions of the Prometheus operator's resources.
package tools

import (
	_ "github.com/prometheus-operator/prometheus-operator/example"
)
