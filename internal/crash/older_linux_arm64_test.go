package crash

// older are calls that newer architectures do not have: this one has none.
var older = map[uint32]changes{}
