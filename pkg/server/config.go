package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
	for _, a := range append([]string{c.SQLAddr, c.ListenAddr, c.HTTPAddr, c.AdvertiseAddr}, c.Join...) {
		if a == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a); err != nil {
			return c, fmt.Errorf("address %q: %w", a, err)
		}
	}
	if _, err := parseLocality(c.Locality); err != nil {
		return c, err
	}
	return c, nil
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
			return nil, fmt.Errorf("locality %q: want key=value,key=value, most general first", s)
		}
		tiers = append(tiers, [2]string{k, v})
	}
	return tiers, nil
}
