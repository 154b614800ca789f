package browser

import _ "embed"

// witness is run in every frame before the page's own scripts.
//
//go:embed witness.js
var witness string
