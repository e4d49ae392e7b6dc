//go:build tools

// Package tools pins the DNS server that the testbed builds.
package tools

import (
	_ "github.com/coredns/coredns"
)
