//go:build tools

// Package tools pins the schema checker that the testbed builds.
package tools

import (
	_ "github.com/yannh/kubeconform/cmd/kubeconform"
)
