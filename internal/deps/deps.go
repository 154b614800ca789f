// Package deps holds the versions of the modules until their users have landed.
package deps

import (
	_ "github.com/elastic/go-seccomp-bpf"
	_ "github.com/getkin/kin-openapi/openapi3"
	_ "github.com/getkin/kin-openapi/openapi3filter"
	_ "github.com/getkin/kin-openapi/routers/gorillamux"
	_ "github.com/go-git/go-git/v5"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/google/go-github/v62/github"
	_ "github.com/landlock-lsm/go-landlock/landlock"
	_ "github.com/playwright-community/playwright-go"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/sashabaranov/go-openai"
	_ "github.com/sethvargo/go-githubactions"
	_ "golang.org/x/net/bpf"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/tools/txtar"
	_ "gopkg.in/yaml.v3"
)
