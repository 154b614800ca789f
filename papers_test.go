package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeptFilesGoIntoTheArtifact(t *testing.T) {
	dir := t.TempDir()
	if files := kept(filepath.Join(dir, "none")); files != nil {
		t.Errorf("got %v", files)
	}
	for name, size := range map[string]int64{"trace-a.zip": 3, "recording-001.json": 2, "huge.zip": mostKept} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("trace-a.zip", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	files := kept(dir)
	if len(files) != 2 || files[0].Name != "browser/recording-001.json" || files[1].Name != "browser/trace-a.zip" || len(files[1].Data) != 3 {
		t.Errorf("got %d files: %.60v", len(files), files)
	}
}
