package audit

import "slices"

// since compares the tests with those that were seen red, by the rules by which
// they are compared with the parent's. These are the feature's own, and its author
// may have been wrong: another value may be expected unless the feature names the
// one that was, but there may not be less of a test.
func (a *auditor) since() {
	b := &auditor{in: a.in, seen: true}
	b.in.Changes = a.in.Since
	b.read()
	b.findings = nil // of files that cannot be read it is said where they are compared with the parent's
	b.tests()
	b.goldens()
	for _, f := range b.findings {
		if slices.ContainsFunc(a.findings, func(o Finding) bool { return o.Rule == f.Rule && o.Path == f.Path && o.Text == f.Text }) {
			continue
		}
		f.Reason = "Changed since the tests were seen red: " + f.Reason
		a.add(f)
	}
}
