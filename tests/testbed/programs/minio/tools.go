//go:build tools

// Package tools pins the MinIO server that the testbed builds.
package tools

import (
	_ "github.com/minio/minio"
)
