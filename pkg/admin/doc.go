// Package admin is the face for people and monitoring: the dashboard, its JSON
// API, /health and /metrics. It reads what the server offers and changes nothing.
//
// Invariants:
//  1. Nothing that a user stored is shown without authentication on a secure
//     cluster; /health alone needs none.
//  2. What others run only a superuser reads, and a password nobody.
//  3. Every figure of the page comes from the JSON API, so that whatever a person
//     sees a program can read.
package admin
