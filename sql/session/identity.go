package session

import (
	"maps"
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// identify finds out whom the session acts for: the role of SET ROLE, else that
// of SET SESSION AUTHORIZATION, else the one that logged in. A role that is gone
// may do nothing.
func (s *Session) identify() {
	snap := s.snapshot()
	oidOf := func(name string) types.OID {
		if r, ok := snap.Role(name); ok {
			return r.ID
		}
		return types.OID(0)
	}
	s.sessionName, _ = s.set.Get("session_authorization")
	if s.sessionUser = s.login; s.sessionName != s.opts.User {
		s.sessionUser = oidOf(s.sessionName)
	}
	s.user, s.userName = s.sessionUser, s.sessionName
	if name, _ := s.set.Get("role"); name != "none" {
		s.user, s.userName = oidOf(name), name
	}
	s.set.Derive("is_superuser", onOff(snap.Superuser(s.user)))
}

// setRole carries out SET ROLE: to a role that the session's user belongs to.
func (s *Session) setRole(name string, local bool) error {
	if name != "none" {
		snap := s.snapshot()
		r, ok := snap.Role(name)
		if !ok {
			return types.Errorf(types.CodeInvalidParameterValue, "role \"%s\" does not exist", name)
		}
		s.follow()
		if !snap.Superuser(s.sessionUser) && !slices.Contains(snap.RolesOf(s.sessionUser, false), r.ID) {
			return types.Errorf(types.CodeInsufficientPrivilege, "permission denied to set role \"%s\"", name)
		}
	}
	return s.set.Set("role", name, local)
}

// setAuthorization carries out SET SESSION AUTHORIZATION: a superuser becomes
// anybody, others stay who they are.
func (s *Session) setAuthorization(name string, local bool) error {
	snap := s.snapshot()
	r, ok := snap.Role(name)
	if !ok {
		return types.Errorf(types.CodeInvalidParameterValue, "role \"%s\" does not exist", name)
	}
	if r.ID != s.login && !snap.Superuser(s.login) {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied to set session authorization")
	}
	if err := s.set.Set("session_authorization", name, local); err != nil {
		return err
	}
	return s.set.Set("role", "none", local)
}

// reset sets a setting back to what it was when the session began.
func (s *Session) reset(name string, local bool) error {
	if err := s.maySet(name); err != nil {
		return err
	}
	err := s.set.Reset(name, local)
	if err == nil && strings.EqualFold(name, "session_authorization") {
		err = s.set.Set("role", "none", local)
	}
	return err
}

// startSettings sets what a session is to start with; whom it acts for by the rules
// of SET.
func (s *Session) startSettings(asked map[string]string) error {
	names := slices.Sorted(maps.Keys(asked))
	for _, name := range slices.Backward(names) { // session_authorization resets role
		if err := s.startSetting(name, asked[name]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) startSetting(name, value string) error {
	switch strings.ToLower(name) {
	case "role", "session_authorization":
		return s.assign(name, value, false)
	}
	return s.set.Set(name, value, false)
}
