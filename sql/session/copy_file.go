package session

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// mayCopyFile fails unless the session's role may make the node read or write
// files: they are the node's, whoever asks.
func (s *Session) mayCopyFile(n *ast.CopyStmt) error {
	var role types.OID
	var what string
	switch {
	case n.IsProgram:
		role, what = catalog.ExecuteRoleOID, "pg_execute_server_program role to COPY to or from an external program"
	case n.IsFrom:
		role, what = catalog.ReadFilesRoleOID, "pg_read_server_files role to COPY from a file"
	default:
		role, what = catalog.WriteFilesRoleOID, "pg_write_server_files role to COPY to a file"
	}
	snap := s.resolve().Snapshot()
	if !snap.HasRole(s.user, role) {
		return types.Errorf(types.CodeInsufficientPrivilege, "must be superuser or have privileges of the %s", what).
			WithHint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.")
	}
	if n.IsProgram {
		return types.Errorf(types.CodeFeatureNotSupported, "COPY to or from a program of the server is not supported").
			WithHint("Use COPY FROM STDIN, COPY TO STDOUT or psql's \\copy.")
	}
	return nil
}

// openCopyFile opens a file to copy from.
func openCopyFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, elsewhere(fileError(err, "could not open file \"%s\" for reading", name), "COPY FROM instructs the PostgreSQL server process to read a file.")
	}
	st, err := f.Stat()
	switch {
	case err != nil:
		err = fileError(err, "could not stat file \"%s\"", name)
	case st.IsDir():
		err = types.Errorf(types.CodeWrongObjectType, "\"%s\" is a directory", name)
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}

// copyFile is a file that rows are written to.
type copyFile struct {
	*bufio.Writer
	file *os.File
}

// createCopyFile makes or empties a file to copy to. Its name is absolute, so
// that it does not depend on where the node was started.
func createCopyFile(name string) (*copyFile, error) {
	if !filepath.IsAbs(name) {
		return nil, types.Errorf(types.CodeInvalidName, "relative path not allowed for COPY to file")
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, elsewhere(fileError(err, "could not open file \"%s\" for writing", name), "COPY TO instructs the PostgreSQL server process to write a file.")
	}
	return &copyFile{Writer: bufio.NewWriterSize(f, 64<<10), file: f}, nil
}

// Write implements io.Writer.
func (c *copyFile) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	if err != nil {
		return n, fileError(err, "could not write to COPY file")
	}
	return n, nil
}

// Close writes what is still buffered. It may be called again.
func (c *copyFile) Close() error {
	if c.file == nil {
		return nil
	}
	err := c.Flush()
	if e := c.file.Close(); err == nil {
		err = e
	}
	name := c.file.Name()
	c.file = nil
	if err != nil {
		return fileError(err, "could not close file \"%s\"", name)
	}
	return nil
}

// elsewhere reminds that a file that cannot be found may be on the client's side.
func elsewhere(e *types.Error, whose string) error {
	if e.Code == types.CodeUndefinedFile || e.Code == types.CodeInsufficientPrivilege {
		return e.WithHint("%s You may want a client-side facility such as psql's \\copy.", whose)
	}
	return e
}

// copyInput is where COPY FROM reads: the node's file, or the client.
func copyInput(n *ast.CopyStmt, w ResultWriter, columns int, binary bool) (io.ReadCloser, error) {
	if n.Filename != "" {
		return openCopyFile(n.Filename)
	}
	r, err := w.CopyIn(columns, binary)
	return io.NopCloser(r), err
}

// copyOutput is where COPY TO writes.
func copyOutput(n *ast.CopyStmt, w ResultWriter, columns int, binary bool) (io.WriteCloser, error) {
	if n.Filename != "" {
		return createCopyFile(n.Filename)
	}
	return w.CopyOut(columns, binary)
}

// fileCodes are the SQLSTATEs of what an operation on a file may fail with.
var fileCodes = map[syscall.Errno]string{
	syscall.EPERM: types.CodeInsufficientPrivilege, syscall.EACCES: types.CodeInsufficientPrivilege, syscall.EROFS: types.CodeInsufficientPrivilege,
	syscall.ENOENT: types.CodeUndefinedFile, syscall.EEXIST: types.CodeDuplicateFile, syscall.EIO: types.CodeIOError,
	syscall.ENOTDIR: types.CodeWrongObjectType, syscall.EISDIR: types.CodeWrongObjectType, syscall.ENOTEMPTY: types.CodeWrongObjectType,
	syscall.ENOSPC: types.CodeDiskFull, syscall.ENOMEM: types.CodeOutOfMemory,
	syscall.ENFILE: types.CodeInsufficientResources, syscall.EMFILE: types.CodeInsufficientResources,
}

// fileError is the error of an operation on a file.
func fileError(err error, format string, args ...any) *types.Error {
	code, reason := types.CodeInternal, err.Error()
	var errno syscall.Errno
	if errors.As(err, &errno) {
		reason = errno.Error()
		reason = strings.ToUpper(reason[:1]) + reason[1:]
		if c, ok := fileCodes[errno]; ok {
			code = c
		}
	}
	e := types.Errorf(code, format, args...)
	e.Message += ": " + reason
	return e
}
