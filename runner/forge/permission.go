package forge

import (
	"context"
	"fmt"
	"net/http"
)

// MayWrite says whether a person may write to the repository, by GitHub's word
// and nobody else's. What a payload says of somebody's association is not that.
// id is the account's, because a name that was given up can be taken by another.
// If GitHub cannot be asked, that is an error and never a yes.
func (h *Hub) MayWrite(ctx context.Context, login string, id int64) (bool, error) {
	level, _, err := h.client.Repositories.GetPermissionLevel(ctx, h.owner, h.repo, login)
	switch {
	case status(err) == http.StatusNotFound:
		return false, nil // no such account, or GitHub does not want to say
	case err != nil:
		return false, fmt.Errorf("ask what %s may do in the repository: %w", login, explain(err))
	}
	// The finer roles are in these two: maintain is write, triage is read.
	may := level.GetPermission() == "admin" || level.GetPermission() == "write"
	return may && id != 0 && level.GetUser().GetID() == id, nil
}
