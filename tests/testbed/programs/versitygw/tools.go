//go:build tools

// Package tools pins the S3 gateway that the testbed builds.
package tools

import (
	_ "github.com/versity/versitygw/cmd/versitygw"
)
