//go:build browser

package admin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestPageInBrowser draws the page as a person sees it; make test runs it where
// there is a Chromium.
func TestPageInBrowser(t *testing.T) {
	s, conn := serve(t)
	exec(t, conn, "CREATE TABLE goods (k int PRIMARY KEY); INSERT INTO goods VALUES (1)")
	exec(t, conn, "SELECT '<b id=injected>' FROM goods")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1400, 1500))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(s.HTTPURL())); err != nil {
		t.Fatal(err)
	}
	// The second answer is the first that gives rates.
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`history.length >= 1 && document.querySelectorAll("#ranges .rep.lease").length > 0`)); err != nil {
		t.Fatal(err)
	}
	text := func(sel string) string {
		t.Helper()
		out, err := chromedp.Run(ctx, chromedp.Text(sel))
		if err != nil {
			t.Fatalf("%s: %v", sel, err)
		}
		return out
	}
	for sel, parts := range map[string][]string{
		"#insecure":   {"no TLS and no passwords"},
		"#who":        {"node n1", s.ClusterID()},
		"#state":      {"serving"},
		"#tiles":      {"1 / 1", "ranges", "statements per second"},
		"#nodes":      {"n1", "live", s.SQLAddr()},
		"#ranges":     {"r1", "/Min", "/Max", "goods", "n1"},
		"#statements": {"from goods", "insert into goods"},
		"#sessions":   {"root", "defaultdb", "shop", "<b id=injected>"},
	} {
		got := text(sel)
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s shows %q, without %q", sel, got, part)
			}
		}
	}
	injected, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.getElementById("injected") !== null`))
	if err != nil || injected {
		t.Errorf("a statement's text became part of the page (%v)", err)
	}
}
