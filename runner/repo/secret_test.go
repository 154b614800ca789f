package repo

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestSecretsAreFound(t *testing.T) {
	t.Parallel()
	const value = `s3cr/t+"v&lue=` + "<é>"
	s := newScanner([]string{value, "short", "  " + password + "\n"})
	for name, text := range map[string]string{
		"raw":            "x" + value + "y",
		"trimmed":        "token: " + password,
		"query":          url.QueryEscape(value),
		"path":           url.PathEscape(value),
		"hex":            hex.EncodeToString([]byte(value)),
		"HEX":            strings.ToUpper(hex.EncodeToString([]byte(value))),
		"JSON":           fmt.Sprintf("%q", value),
		"base64":         base64.StdEncoding.EncodeToString([]byte(value)),
		"base64, 1":      base64.StdEncoding.EncodeToString([]byte("u" + value + "zz")),
		"base64, 2":      base64.StdEncoding.EncodeToString([]byte("us" + value)),
		"basic auth":     base64.StdEncoding.EncodeToString([]byte("x-access-token:" + password)),
		"base64 of URLs": base64.URLEncoding.EncodeToString([]byte("u:" + value + "?")),
		"RSA":            "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx0u3sQv9aK7mPp2c",
		"PKCS 8":         "key = \"-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
		"OpenSSH":        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUA",
		"encrypted":      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\nMIIEowIBAAKCAQEAx0u3sQv9aK7mPp2c",
		"PGP":            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGRnb3sBCADK0u3sQv9aK7mPp2cW",
		"GitHub":         "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
		"GitHub server":  "x=ghs_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
		"GitHub fine":    "github_pat_" + "11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567890",
		"OpenAI":         "OPENAI_API_KEY=sk-" + "proj-Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9",
		"Anthropic":      "sk-" + "ant-api03-Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St_uv-AA",
		"OpenRouter":     "sk-" + "or-v1-0a1b2c3d4e5f60718293a4b5c6d7e8f9",
		"AWS":            "AKIA" + "Q3EGZXCVBNMASDFG",
		"AWS session":    "ASIA" + "Q3EGZXCVBNMASDFG",
		"Google":         "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
		"Slack":          "xoxb-" + "123456789012-Ab1Cd2Ef3Gh4Ij5Kl6Mn",
		"npm":            "npm_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
		"Stripe":         "sk_live_" + "a1B2c3D4e5F6g7H8i9J0k1L2",
		"Stripe's hook":  "whsec_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
		"GitLab":         "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
		"PyPI":           "pypi-AgEI" + "cHlwaS5vcmcCJGExYjJjM2Q0LWU1ZjYtNzg5MC1hYmNkLWVmMTIzNDU2Nzg5MA",
		"Docker Hub":     "dckr_pat_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N",
		"Hugging Face":   "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
		"SendGrid":       "SG." + "a1B2c3D4e5F6g7H8i9J0k1.a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
		"DigitalOcean":   "dop_v1_" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"Slack's hook":   "https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/" + "a1B2c3D4e5F6g7H8i9J0k1L2",
		"Azure":          "AccountKey=" + strings.Repeat("aB3dE6gH9+", 8) + "aB3dE6==",
		"a database":     "DATABASE_URL=postgres://app:" + "tr0ub4dor-and-3@db.example.com:5432/app",
	} {
		if s.find([]byte("before\n"+text+"\nafter"), nil) == "" {
			t.Errorf("%s: %s passes", name, text)
		}
		if got := s.find([]byte("before\n"+text+"\nafter"), []byte(text)); got != "" {
			t.Errorf("%s: %s, which was there before", name, got)
		}
	}
	for name, text := range map[string]string{
		"nothing":             "hello world",
		"a short value":       "a short value",
		"class names":         ".sk-circle-fade-dot-animation-container { } task-force-one-two-three-four-five-six",
		"a word":              "risk-assessmentassessmentassessment",
		"placeholder":         "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		"AWS' example":        "AKIAIOSFODNN7EXAMPLE",
		"a public key":        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
		"talk of keys":        "if (text.includes('-----BEGIN PRIVATE KEY-----')) { throw new Error('no') }",
		"a digest":            "sha512-" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0123456789abcdef", 4))),
		"a local database":    "postgres://postgres:postgres@localhost:5432/app mysql://root:password@127.0.0.1/x redis://:secretsecret@cache/0",
		"a database's form":   "postgres://user:${DB_PASSWORD}@db.example.com/app postgres://<user>:<password>@db.example.com",
		"words that begin so": "hf_hub_download_and_something_else_of_it SG.something glpat- whsec_ dckr_pat_xxxxxxxxxxxxxxxxxxxxxxxx",
		"a commit id":         "9725a20102bf4c3328821cd80aace4a667934635",
		"an npm variable":     "npm_config_registry npm_lifecycle_event_and_something_long_here",
	} {
		if got := s.find([]byte(text), nil); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestScrubTakesSecretsOut(t *testing.T) {
	r := &Repo{secrets: newScanner([]string{"hunter2-hunter2"})}
	for in, want := range map[string]string{
		"the key is hunter2-hunter2, in hex 68756e746572322d68756e74657232.":                "the key is ***, in hex ***.",
		"token ghp_" + strings.Repeat("aB3dE6gH9", 4) + " leaked":                           "token *** leaked",
		"a placeholder sk-xxxxxxxxxxxxxxxxxxxxxxxx and nothing else":                        "a placeholder sk-xxxxxxxxxxxxxxxxxxxxxxxx and nothing else",
		"base64 " + base64.StdEncoding.EncodeToString([]byte("user:hunter2-hunter2")) + "!": "",
	} {
		got := r.Scrub(in)
		if want != "" && got != want || r.secrets.holds([]byte(got)) {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// A person lets a false alarm pass by its id, and never a value of the run.
func TestFindingsArePassedByAPerson(t *testing.T) {
	const key, value = "glpat-" + "a1B2c3D4e5F6g7H8i9J0", "the-token-of-this-run"
	r := &Repo{secrets: newScanner([]string{value})}
	said := r.secrets.find([]byte(key), nil)
	_, id, ok := strings.Cut(strings.TrimSuffix(said, ")"), "(finding ")
	if !ok || strings.Contains(said, key[:10]) {
		t.Fatalf("it is said: %s", said)
	}
	r.Allow([]string{id})
	if got := r.secrets.find([]byte("x = "+key), nil); got != "" {
		t.Errorf("what a person let pass is found again: %s", got)
	}
	if r.secrets.find([]byte(key+" "+"glpat-"+"z9Y8x7W6v5U4t3S2r1Q0"), nil) == "" || r.secrets.find([]byte(key+value), nil) != "a secret of this run" {
		t.Error("another one passes with it")
	}
}
