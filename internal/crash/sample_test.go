//go:build !deep

package crash

// deep says that a sample is tried only; everything is by the tag deep.
const deep = false
