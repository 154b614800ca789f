package fakegithub

import (
	"fmt"
	"maps"
	"strconv"
	"time"
)

// The objects of the answers, with every field that GitHub's description
// requires.

type object = map[string]any

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func node(kind string, id int64) string { return kind + "_" + strconv.FormatInt(id, 36) }

func (c *call) user(a *Actor) object {
	kind := "User"
	if a.App {
		kind = "Bot"
	}
	url := c.base + "/users/" + a.Login
	o := object{
		"login": a.Login, "id": a.ID, "node_id": node("U", a.ID), "type": kind, "site_admin": false,
		"avatar_url": c.base + "/avatars/" + strconv.FormatInt(a.ID, 10), "gravatar_id": "",
		"url": url, "html_url": c.base + "/" + a.Login,
	}
	for _, k := range []string{"events", "followers", "following", "gists", "organizations", "received_events", "repos", "starred", "subscriptions"} {
		o[k+"_url"] = url + "/" + k
	}
	return o
}

func (c *call) privateUser(a *Actor) object {
	o := c.user(a)
	maps.Copy(o, object{
		"user_view_type": "private", "bio": nil, "blog": nil, "company": nil, "email": nil, "hireable": nil, "location": nil, "name": a.Login,
		"followers": 0, "following": 0, "public_gists": 0, "public_repos": 1, "collaborators": 0, "disk_usage": 0,
		"owned_private_repos": 0, "private_gists": 0, "total_private_repos": 0, "two_factor_authentication": true,
		"created_at": stamp(time.Unix(0, 0)), "updated_at": stamp(time.Unix(0, 0)),
	})
	return o
}

func (c *call) owner() object {
	owner := c.r.PathValue("owner")
	return c.user(&Actor{Login: owner, ID: 1})
}

func (c *call) minimalRepo(r *repo) object {
	url := c.base + "/repos/" + r.name
	o := object{
		"id": r.id, "node_id": node("R", r.id), "name": c.r.PathValue("repo"), "full_name": r.name, "owner": c.owner(),
		"private": false, "fork": false, "description": nil, "url": url, "html_url": c.base + "/" + r.name,
	}
	for _, k := range []string{
		"archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents",
		"contributors", "deployments", "downloads", "events", "forks", "git_commits", "git_refs", "git_tags", "hooks",
		"issue_comment", "issue_events", "issues", "keys", "labels", "languages", "merges", "milestones", "notifications",
		"pulls", "releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees",
	} {
		o[k+"_url"] = url + "/" + k
	}
	return o
}

func (c *call) wholeRepo(r *repo) object {
	o := c.minimalRepo(r)
	git := c.base + "/" + r.name + ".git"
	maps.Copy(o, object{
		"clone_url": git, "git_url": git, "ssh_url": git, "svn_url": git, "mirror_url": nil, "homepage": nil,
		"default_branch": r.branch, "language": nil, "license": nil, "archived": false, "disabled": false,
		"forks": 0, "forks_count": 0, "open_issues": len(r.issues), "open_issues_count": len(r.issues), "size": 1,
		"stargazers_count": 0, "watchers": 0, "watchers_count": 0,
		"has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false, "has_discussions": false, "has_downloads": false,
		"pushed_at": stamp(r.created), "created_at": stamp(r.created), "updated_at": stamp(r.created),
	})
	return o
}

func (c *call) fullRepo(r *repo) object {
	o := c.wholeRepo(r)
	o["network_count"], o["subscribers_count"] = 0, 0
	o["archived"] = r.archived
	if !c.actor.App {
		o["permissions"] = object{"admin": false, "push": !c.actor.Reader, "pull": true}
	}
	return o
}

func (c *call) issueObject(i *issue) object {
	url := fmt.Sprintf("%s/repos/%s/issues/%d", c.base, c.repo.name, i.number)
	o := object{
		"id": i.id, "node_id": node("I", i.id), "number": i.number, "title": i.title, "body": i.body, "state": i.state, "locked": false,
		"user": c.user(i.author), "author_association": association(i.author), "labels": labelObjects(c, i), "assignee": nil, "milestone": nil, "comments": len(i.comments),
		"url": url, "repository_url": c.base + "/repos/" + c.repo.name, "comments_url": url + "/comments",
		"events_url": url + "/events", "labels_url": url + "/labels", "html_url": c.issueLink(i),
		"created_at": stamp(i.created), "updated_at": stamp(i.updated), "closed_at": stamp(i.closed),
	}
	if i.pull != nil {
		link, url := c.issueLink(i), fmt.Sprintf("%s/repos/%s/pulls/%d", c.base, c.repo.name, i.number)
		o["pull_request"] = object{"url": url, "html_url": link, "diff_url": link + ".diff", "patch_url": link + ".patch", "merged_at": stamp(i.pull.merged)}
	}
	return o
}

func labelObjects(c *call, i *issue) []any {
	out := []any{}
	for _, name := range i.labels {
		out = append(out, c.labelObject(*c.repo.label(name)))
	}
	return out
}

func association(a *Actor) string {
	if a.App {
		return "NONE"
	}
	return "OWNER"
}

func (c *call) issueLink(i *issue) string {
	kind := "issues"
	if i.pull != nil {
		kind = "pull"
	}
	return fmt.Sprintf("%s/%s/%s/%d", c.base, c.repo.name, kind, i.number)
}

func (c *call) commentObject(i *issue, m *comment) object {
	return object{
		"id": m.id, "node_id": node("IC", m.id), "body": m.body, "user": c.user(m.author), "author_association": association(m.author),
		"url":        fmt.Sprintf("%s/repos/%s/issues/comments/%d", c.base, c.repo.name, m.id),
		"html_url":   fmt.Sprintf("%s#issuecomment-%d", c.issueLink(i), m.id),
		"issue_url":  fmt.Sprintf("%s/repos/%s/issues/%d", c.base, c.repo.name, i.number),
		"created_at": stamp(m.created), "updated_at": stamp(m.updated),
	}
}

func (c *call) pullObject(i *issue) object {
	url := fmt.Sprintf("%s/repos/%s/pulls/%d", c.base, c.repo.name, i.number)
	link := c.issueLink(i)
	about := fmt.Sprintf("%s/repos/%s/issues/%d", c.base, c.repo.name, i.number)
	links := object{}
	for _, k := range []string{"comments", "commits", "html", "issue", "review_comment", "review_comments", "self", "statuses"} {
		links[k] = object{"href": url + "/" + k}
	}
	end := func(branch, oid string) object {
		owner := c.r.PathValue("owner")
		return object{"label": owner + ":" + branch, "ref": branch, "sha": oid, "repo": c.wholeRepo(c.repo), "user": c.owner()}
	}
	o := object{
		"id": i.id, "node_id": node("PR", i.id), "number": i.number, "title": i.title, "body": i.body,
		"state": i.state, "draft": i.pull.draft, "locked": false, "user": c.user(i.author), "author_association": association(i.author),
		"head": end(i.pull.head, c.repo.tip(i.pull.head)), "base": end(i.pull.base, c.repo.tip(i.pull.base)),
		"assignee": nil, "labels": labelObjects(c, i), "milestone": nil, "auto_merge": nil, "_links": links,
		"url": url, "html_url": link, "diff_url": link + ".diff", "patch_url": link + ".patch", "issue_url": about,
		"comments_url": about + "/comments", "commits_url": url + "/commits", "statuses_url": url + "/statuses",
		"review_comment_url": url + "/comments{/number}", "review_comments_url": url + "/comments",
		"merge_commit_sha": nil, "merged_at": stamp(i.pull.merged),
		"created_at": stamp(i.created), "updated_at": stamp(i.updated), "closed_at": stamp(i.closed),
	}
	return o
}

func (c *call) wholePull(i *issue) object {
	o := c.pullObject(i)
	maps.Copy(o, object{
		"additions": 0, "deletions": 0, "changed_files": 0, "commits": 1, "comments": len(i.comments), "review_comments": 0,
		"mergeable": nil, "mergeable_state": "unknown", "merged": !i.pull.merged.IsZero(), "merged_by": nil, "maintainer_can_modify": false,
	})
	return o
}

func (c *call) workflowObject(f *flow) object {
	return object{
		"id": f.id, "node_id": node("W", f.id), "name": f.name, "path": f.path, "state": f.state,
		"url":        fmt.Sprintf("%s/repos/%s/actions/workflows/%d", c.base, c.repo.name, f.id),
		"html_url":   fmt.Sprintf("%s/%s/blob/%s/%s", c.base, c.repo.name, c.repo.branch, f.path),
		"badge_url":  fmt.Sprintf("%s/%s/workflows/%s/badge.svg", c.base, c.repo.name, f.name),
		"created_at": stamp(c.repo.created), "updated_at": stamp(c.repo.created),
	}
}

func (c *call) runObject(r *Run, attempt int) object {
	url := c.runURL(r)
	status, conclusion := r.Status, any(r.Conclusion)
	if attempt < r.Attempt {
		status = "completed" // another attempt begins only when the one before has ended
		conclusion = "failure"
	}
	if conclusion == "" {
		conclusion = nil
	}
	who := c.user(r.Actor)
	return object{
		"id": r.ID, "node_id": node("WFR", r.ID), "name": r.Name, "display_title": r.Title, "path": r.Workflow, "workflow_id": c.repo.flows[r.Workflow],
		"event": r.Event, "status": status, "conclusion": conclusion, "run_number": r.Number, "run_attempt": attempt,
		"head_branch": r.Branch, "head_sha": r.SHA, "head_commit": nil, "pull_requests": []any{}, "actor": who, "triggering_actor": who,
		"repository": c.minimalRepo(c.repo), "head_repository": c.minimalRepo(c.repo),
		"url": url, "html_url": c.runLink(r), "jobs_url": url + "/jobs", "logs_url": url + "/logs", "check_suite_url": url + "/check-suite",
		"cancel_url": url + "/cancel", "rerun_url": url + "/rerun", "artifacts_url": url + "/artifacts",
		"workflow_url": fmt.Sprintf("%s/repos/%s/actions/workflows/%d", c.base, c.repo.name, c.repo.flows[r.Workflow]),
		"created_at":   stamp(r.Created), "updated_at": stamp(r.Updated), "run_started_at": stamp(r.Created),
	}
}

func (c *call) runURL(r *Run) string {
	return fmt.Sprintf("%s/repos/%s/actions/runs/%d", c.base, c.repo.name, r.ID)
}

func (c *call) runLink(r *Run) string {
	return fmt.Sprintf("%s/%s/actions/runs/%d", c.base, c.repo.name, r.ID)
}

func (c *call) artifactObject(a *artifact) object {
	url := fmt.Sprintf("%s/repos/%s/actions/artifacts/%d", c.base, c.repo.name, a.id)
	o := object{
		"id": a.id, "node_id": node("A", a.id), "name": a.name, "size_in_bytes": len(a.data), "url": url, "archive_download_url": url + "/zip",
		"expired": a.expired, "digest": a.digest,
		"created_at": stamp(a.created), "updated_at": stamp(a.created), "expires_at": stamp(a.expires),
	}
	o["workflow_run"] = object{
		"id": a.run.ID, "repository_id": c.repo.id, "head_repository_id": c.repo.id, "head_branch": a.run.Branch, "head_sha": a.run.SHA,
	}
	return o
}
