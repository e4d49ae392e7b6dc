//go:build tools

// Package tools pins the program of the oldest Kubernetes that drover promises.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
