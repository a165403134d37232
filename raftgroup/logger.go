package raftgroup

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// newRaftLogger passes Raft's own log on at debug level: it reports each failed
// message to a dead peer as an error.
func newRaftLogger(l *slog.Logger, g *group) hclog.Logger {
	if !l.Enabled(context.Background(), slog.LevelDebug) {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{
		Level: hclog.Debug, DisableTime: true, Output: raftLog{l.With("range", g.id)},
	})
}

type raftLog struct{ l *slog.Logger }

var _ io.Writer = raftLog{}

func (r raftLog) Write(p []byte) (int, error) {
	r.l.Debug("raft: " + strings.TrimSpace(string(p)))
	return len(p), nil
}
