// Package security makes and loads the certificates of a cluster, and keeps
// password verifiers (SCRAM-SHA-256, RFC 5802 and RFC 7677).
//
// A certificate directory holds ca.crt (and ca.key where certificates are made),
// node.crt and node.key, and client.<user>.crt and client.<user>.key. Keys are
// readable by their owner only; loading a key that others can read fails.
package security
