package driver

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pamirdb/pamir/pkg/server"
)

// Memory is the directory name that keeps everything in memory.
const Memory = ":memory:"

// stopWithin bounds how long closing waits for the node.
const stopWithin = 10 * time.Second

func init() { sql.Register("pamir", &sqlDriver{}) }

// errNoDirectory refuses what is as a rule a variable that nobody has set, before
// a node makes its files wherever the program happens to run.
var errNoDirectory = fmt.Errorf("pamir: no directory given; %q keeps everything in memory", Memory)

// Options tune an embedded node.
type Options struct {
	// User and Database are whom and where connections are for; root and
	// defaultdb by default.
	User, Database string
	// Logger takes the node's log; by default it is dropped.
	Logger *slog.Logger
	// SQLAddr, if set, lets other programs connect, too. The node has no TLS:
	// give a loopback address only.
	SQLAddr string
}

// Node is an embedded node.
type Node struct {
	server *server.Server
	opts   Options
	dir    string
}

// Open starts a node over a directory, which is created if need be, or over
// Memory. It fails if another process uses the directory.
func Open(ctx context.Context, dir string, o Options) (*Node, error) {
	if dir == "" {
		return nil, errNoDirectory
	}
	if o.User == "" {
		o.User = "root"
	}
	if o.Database == "" {
		o.Database = "defaultdb"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	cfg := server.Config{SingleNode: true, Insecure: true, Replicas: 1, SQLAddr: o.SQLAddr, Logger: o.Logger}
	if dir != Memory {
		cfg.StoreDir = dir
	}
	// The node outlives the context of its opening.
	s, err := server.Start(context.WithoutCancel(ctx), cfg)
	if err != nil {
		return nil, err
	}
	n := &Node{server: s, opts: o, dir: dir}
	if err := s.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Dial returns a connection that speaks PostgreSQL's protocol, without a socket.
func (n *Node) Dial(context.Context, string, string) (net.Conn, error) {
	client, srv := newPipe()
	if err := n.server.ServeConn(srv); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// Config returns a pgx configuration whose connections never touch TCP; use it
// with pgx.ConnectConfig or, by pgxpool's ConnConfig, with a pool.
func (n *Node) Config() (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig("host=embedded port=1 sslmode=disable")
	if err != nil {
		return nil, err
	}
	// What the environment says of servers elsewhere is not about this node.
	cfg.RuntimeParams, cfg.ValidateConnect = map[string]string{}, nil
	cfg.User, cfg.Database = n.opts.User, n.opts.Database
	cfg.DialFunc = n.Dial
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return cfg, nil
}

// DB returns a database/sql handle. Closing it does not close the node.
func (n *Node) DB() (*sql.DB, error) {
	cfg, err := n.Config()
	if err != nil {
		return nil, err
	}
	return stdlib.OpenDB(*cfg), nil
}

// Close stops the node; everything committed is on disk then.
func (n *Node) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return n.server.Stop(ctx)
}

// sqlDriver is the database/sql driver "pamir"; the data source name is a
// directory or Memory. Each Memory is a database of its own.
type sqlDriver struct {
	mu   sync.Mutex
	open map[string]*sharedNode
}

// sharedNode is the one node of a directory in this process.
type sharedNode struct {
	node *Node
	key  string // in sqlDriver.open; "" for memory
	refs int
}

// Open implements driver.Driver; database/sql calls OpenConnector instead.
func (d *sqlDriver) Open(name string) (sqldriver.Conn, error) {
	c, err := d.OpenConnector(name)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// OpenConnector implements driver.DriverContext.
func (d *sqlDriver) OpenConnector(name string) (sqldriver.Connector, error) {
	if name == "" {
		return nil, errNoDirectory
	}
	if name != Memory {
		abs, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		name = abs
	}
	return &connector{d: d, name: name}, nil
}

// acquire returns the node of a directory, starting it for the first user.
func (d *sqlDriver) acquire(ctx context.Context, name string) (*sharedNode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.open[realPath(name)]; s != nil {
		s.refs++
		return s, nil
	}
	n, err := Open(ctx, name, Options{})
	if err != nil {
		return nil, err
	}
	s := &sharedNode{node: n, refs: 1}
	if name != Memory {
		if d.open == nil {
			d.open = map[string]*sharedNode{}
		}
		s.key = realPath(name) // now that the directory is there
		d.open[s.key] = s
	}
	return s, nil
}

// realPath is one name for all links to a directory.
func realPath(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	return name
}

// release gives a node back; the last user stops it.
func (d *sqlDriver) release(s *sharedNode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	}
	if s.key != "" {
		delete(d.open, s.key)
	}
	return s.node.Close()
}

// connector opens connections of one sql.DB to its node.
type connector struct {
	d    *sqlDriver
	name string

	mu    sync.Mutex
	node  *sharedNode
	inner sqldriver.Connector
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	inner, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return inner.Connect(ctx)
}

func (c *connector) connect(ctx context.Context) (sqldriver.Connector, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner != nil {
		return c.inner, nil
	}
	n, err := c.d.acquire(ctx, c.name)
	if err != nil {
		return nil, err
	}
	cfg, err := n.node.Config()
	if err != nil {
		return nil, errors.Join(err, c.d.release(n))
	}
	c.node, c.inner = n, stdlib.GetConnector(*cfg)
	return c.inner, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() sqldriver.Driver { return c.d }

// Close implements io.Closer: sql.DB.Close calls it after the connections.
func (c *connector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.node == nil {
		return nil
	}
	n := c.node
	c.node, c.inner = nil, nil
	return c.d.release(n)
}
