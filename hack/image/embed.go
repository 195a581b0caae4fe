package image

import "embed"

//go:embed operator.yaml media.yaml
var lists embed.FS
