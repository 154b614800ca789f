package suite

import (
	"path"
	"strings"
)

// locate finds the files of cases of which a report says only the class, or the
// path from some directory of its own: the gates compare by file.
func (r *Report) locate(run Run, dir string) error {
	want := map[string]string{} // end of a path -> the whole
	for _, c := range r.Cases {
		for _, end := range ends(c) {
			want[end] = ""
		}
	}
	if len(want) == 0 {
		return nil
	}
	err := walk(run.Root, dir, func(f string) bool {
		for end := f; end != ""; {
			if have, ok := want[end]; ok {
				if have == "" || IsTest(f) && !IsTest(have) {
					want[end] = f
				}
			}
			_, rest, more := strings.Cut(end, "/")
			if !more {
				break
			}
			end = rest
		}
		return true
	})
	if err != nil {
		return err
	}
	for i, c := range r.Cases {
		for _, end := range ends(c) {
			if f := want[end]; f != "" {
				if c.Load && c.Name == c.File {
					r.Cases[i].Name = f
				}
				r.Cases[i].File = f
				break
			}
		}
	}
	return nil
}

// ends are the paths that the file of c may end with, likeliest first.
func ends(c Case) []string {
	if strings.HasPrefix(c.File, "/") || strings.HasPrefix(c.File, "doc-tests") || c.Weak {
		return nil
	}
	if c.File != "" {
		return []string{c.File}
	}
	class, _, _ := strings.Cut(c.Name, " › ")
	class, _, _ = strings.Cut(class, "$")
	class, _, _ = strings.Cut(class, "(")
	parts := strings.Split(class, ".")
	var all []string
	for _, ext := range []string{".java", ".kt", ".groovy", ".scala"} {
		all = append(all, path.Join(parts...)+ext)
	}
	if len(parts) > 2 { // .NET: Namespace.Class.Method
		all = append(all, parts[len(parts)-2]+".cs", parts[len(parts)-2]+".fs", parts[len(parts)-2]+".vb")
	}
	return all
}
