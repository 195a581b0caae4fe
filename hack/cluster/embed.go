//go:build linux

package main

import "embed"

//go:embed files
var files embed.FS
