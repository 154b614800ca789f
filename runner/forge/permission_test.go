package forge

import (
	"net/http"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
)

func TestMayWrite(t *testing.T) {
	w := newWorld(t)
	for login, role := range map[string]string{"root": "admin", "mia": "maintain", "wes": "write", "tria": "triage", "rea": "read", "nobody": "none"} {
		w.AddPerson(fakegithub.Actor{Login: login, ID: int64(len(login))}, role)
	}
	for _, tt := range []struct {
		login string
		id    int64
		want  bool
	}{
		{"root", 4, true},
		{"mia", 3, true},
		{"wes", 3, true},
		{"tria", 4, false},
		{"rea", 3, false},
		{"nobody", 6, false},
		{"stranger", 9, false},
		{"wes", 77, false}, // another account has had the name
		{"wes", 0, false},
	} {
		may, err := w.hub().MayWrite(t.Context(), tt.login, tt.id)
		if err != nil || may != tt.want {
			t.Errorf("%s (%d): %v, %v, want %v", tt.login, tt.id, may, err, tt.want)
		}
	}
}

func TestMayWriteIsNoGuess(t *testing.T) {
	w := newWorld(t)
	w.AddPerson(fakegithub.Actor{Login: "wes", ID: 3}, "write")
	w.SetPermission("metadata", "")
	may, err := w.hub(func(o *Options) { o.HTTP = http.DefaultTransport }).MayWrite(t.Context(), "wes", 3)
	if may || err == nil || !strings.Contains(err.Error(), "what wes may do") {
		t.Errorf("%v, %v", may, err)
	}
}
