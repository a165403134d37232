package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Default addresses.
const (
	DefaultSQLAddr    = "127.0.0.1:26257"
	DefaultListenAddr = "127.0.0.1:26258"
	DefaultHTTPAddr   = "127.0.0.1:8080"
	// DefaultMaxOffset is the clock offset between nodes that is tolerated.
	DefaultMaxOffset = 250 * time.Millisecond
	// minRangeBytes keeps a typing error from splitting everything to pieces.
	minRangeBytes = 64 << 10
)

// Version is this build's version.
var Version = "0.1.0"

// Config says how a node runs.
type Config struct {
	// StoreDir holds the node's data; empty keeps everything in memory.
	StoreDir string
	// SQLAddr and HTTPAddr are listened on; empty disables them. ListenAddr is
	// for other nodes; empty on a single node.
	SQLAddr, ListenAddr, HTTPAddr string
	// AdvertiseAddr is what other nodes dial, if not ListenAddr.
	AdvertiseAddr string
	// Join lists addresses of nodes of the cluster.
	Join []string
	// SingleNode bootstraps a cluster of one if the store is new.
	SingleNode bool
	Locality   string
	// CertsDir secures the node; Insecure says that it is not.
	CertsDir string
	Insecure bool
	// MaxOffset is the tolerated clock offset.
	MaxOffset time.Duration
	// Replicas is the number of replicas that each range should have.
	Replicas int
	// RangeMaxBytes is the size past which a range splits.
	RangeMaxBytes int64
	// StoreDeadAfter is how long a node may be gone before its replicas are
	// replaced.
	StoreDeadAfter time.Duration
	// HTTPHandler makes what the HTTP port serves; nil closes that port.
	HTTPHandler func(*Server) http.Handler
	Logger      *slog.Logger
}

// withDefaults fills in what is not set and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MaxOffset == 0 {
		c.MaxOffset = DefaultMaxOffset
	}
	if c.Replicas == 0 {
		c.Replicas = 3
	}
	if c.SingleNode && len(c.Join) > 0 {
		return c, errors.New("a single node joins nobody: use either start-single-node or --join")
	}
	if !c.Insecure && c.CertsDir == "" {
		return c, errors.New("a node is secure by default: give --certs-dir (pamir cert makes certificates), or --insecure to do without")
	}
	if c.Insecure && c.CertsDir != "" {
		return c, errors.New("--insecure and --certs-dir contradict each other")
	}
	if err := c.checkAddrs(); err != nil {
		return c, err
	}
	switch {
	case c.MaxOffset < 0:
		return c, fmt.Errorf("--max-offset=%s: a difference is not negative", c.MaxOffset)
	case c.StoreDeadAfter < 0:
		return c, fmt.Errorf("--store-dead-after=%s: a time is not negative", c.StoreDeadAfter)
	case c.RangeMaxBytes != 0 && c.RangeMaxBytes < minRangeBytes:
		return c, fmt.Errorf("--range-max-bytes=%d: at least %d, for each range costs something", c.RangeMaxBytes, minRangeBytes)
	}
	if _, err := parseLocality(c.Locality); err != nil {
		return c, err
	}
	return c, nil
}

// checkAddrs checks that addresses are addresses, whether they can be listened on
// or not.
func (c Config) checkAddrs() error {
	given := [][2]string{{"--sql-addr", c.SQLAddr}, {"--listen-addr", c.ListenAddr}, {"--http-addr", c.HTTPAddr}, {"--advertise-addr", c.AdvertiseAddr}}
	for _, a := range c.Join {
		given = append(given, [2]string{"--join", a})
	}
	for _, a := range given {
		if a[1] == "" {
			continue
		}
		_, port, err := net.SplitHostPort(a[1])
		if err != nil {
			return fmt.Errorf("%s=%s: want HOST:PORT", a[0], a[1])
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%s=%s: %q is no port; it is a number up to 65535", a[0], a[1], port)
		}
	}
	return nil
}

// parseLocality reads "region=eu,zone=a".
func parseLocality(s string) ([][2]string, error) {
	if s == "" {
		return nil, nil
	}
	var tiers [][2]string
	for _, p := range strings.Split(s, ",") {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" || v == "" {
			return nil, fmt.Errorf("--locality=%s: want key=value,key=value, most general first", s)
		}
		tiers = append(tiers, [2]string{k, v})
	}
	return tiers, nil
}
