package verify

import "encoding/json"

// schemaOf is the schema in which a state was written; 0 if it does not say.
func schemaOf(state []byte) int {
	var head struct {
		Schema int `json:"schema"`
	}
	if json.Unmarshal(state, &head) != nil {
		return 0
	}
	return head.Schema
}
