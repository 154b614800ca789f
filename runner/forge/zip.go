package forge

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// What an artifact may hold before it is taken for an attack.
const (
	mostFiles = 10_000
	mostBytes = 256 << 20
)

// pack zips files. The same files give the same bytes, so that an artifact can
// be compared by its digest.
func pack(files []runner.File) ([]byte, error) {
	files, err := checkFiles(files)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for _, f := range files {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Deflate})
		if err == nil {
			_, err = w.Write(f.Data)
		}
		if err != nil {
			return nil, fmt.Errorf("zip %s: %w", f.Name, err)
		}
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	return out.Bytes(), nil
}

// unpack unzips what anybody may have zipped: only plain files below the
// directory, each name once, and no more of them than is sane, whatever their
// headers say about their sizes.
func unpack(zipped []byte) ([]runner.File, error) {
	zr, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		return nil, fmt.Errorf("unzip: %w", err)
	}
	if len(zr.File) > mostFiles {
		return nil, fmt.Errorf("unzip: more than %d files", mostFiles)
	}
	var files []runner.File
	left := int64(mostBytes)
	for _, f := range zr.File {
		if f.Mode()&fs.ModeDir != 0 && f.UncompressedSize64 == 0 {
			continue
		}
		if !f.Mode().IsRegular() {
			return nil, fmt.Errorf("unzip: %q is not a plain file", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("unzip %q: %w", f.Name, err)
		}
		data, err := io.ReadAll(io.LimitReader(r, left+1))
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("unzip %q: %w", f.Name, err)
		}
		if left -= int64(len(data)); left < 0 {
			return nil, fmt.Errorf("unzip: more than %d bytes", mostBytes)
		}
		files = append(files, runner.File{Name: f.Name, Data: data})
	}
	return checkFiles(files)
}
