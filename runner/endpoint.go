package runner

// An Endpoint is what was found out about how a model's endpoint wants to be
// asked. It stays in the state, so that a request in another form is refused once
// in a loop's life and not at the beginning of each session.
type Endpoint struct {
	Model    string   `json:"model"`
	Endpoint string   `json:"endpoint"`          // which one: a hash of its address
	API      string   `json:"api,omitempty"`     // chat or responses, where the other was refused
	Refused  []string `json:"refused,omitempty"` // fields that are not sent any more, or under another name
}
