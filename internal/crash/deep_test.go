//go:build deep

package crash

// deep says that everything is tried that is worth it.
const deep = true
