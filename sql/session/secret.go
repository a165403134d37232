package session

import "regexp"

// passwords finds what follows PASSWORD in CREATE and ALTER ROLE: a string of any
// of PostgreSQL's forms, or one that never ends.
var passwords = regexp.MustCompile(`(?is)\b(password\s+)(?:(?:e|u&)?'(?:[^'\\]|''|\\.)*(?:'|$)|\$.*)`)

// withoutPasswords is a statement as others may see it: what a client sends to set
// a password is nobody's to read, not even a superuser's.
func withoutPasswords(sql string) string {
	return passwords.ReplaceAllString(sql, "${1}'***'")
}
