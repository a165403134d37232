package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// AddrError says why no node could be talked to at an address, in words for
// whoever gave the address.
type AddrError struct {
	Addr, Reason string
	Cause        error
}

func (e *AddrError) Error() string { return e.Addr + ": " + e.Reason }
func (e *AddrError) Unwrap() error { return e.Cause }

// refusedError is a peer's answer to a hello that it does not accept.
type refusedError struct{ message string }

func (e *refusedError) Error() string { return e.message }

// dialFailed explains an address that nobody answers at.
func dialFailed(addr string, err error) error {
	reason := err.Error()
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		reason = fmt.Sprintf("no host has the name %q", dns.Name)
	case errors.As(err, &dns):
		reason = fmt.Sprintf("the name %q cannot be looked up: %s", dns.Name, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "connection refused: nothing listens there"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		reason = "the host does not answer"
	}
	return &AddrError{addr, reason, err}
}

// handshakeFailed explains a connection that did not come to a hello; secure says
// whether this side spoke TLS.
func handshakeFailed(addr string, secure bool, err error) error {
	var (
		refused   *refusedError
		notTLS    tls.RecordHeaderError
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
	)
	reason := err.Error()
	switch {
	case errors.As(err, &refused):
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		reason = "the node's certificate has expired: " + invalid.Detail
	case errors.As(err, &authority):
		reason = "the node's certificate is of another authority than this ca.crt"
	case errors.As(err, &host):
		reason = "the node's certificate is for other names or addresses (" + host.Error() + "); pamir cert create-node takes all that it is reached by"
	case errors.As(err, &notTLS):
		reason = "what listens there does not speak TLS: it is an insecure node, or no node's --listen-addr"
	case secure && strings.Contains(reason, "remote error: tls:"):
		reason = "the node refuses the certificate shown to it (" + strings.TrimPrefix(reason, "remote error: ") + ")"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, errNoHello), errors.Is(err, errBadFrame):
		reason = "what listens there does not speak Pamir's node protocol: it is no node's --listen-addr"
		if !secure {
			reason += ", or a secure node's"
		}
	}
	return &AddrError{addr, reason, err}
}
