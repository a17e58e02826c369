package record

import "gke-credential-rotator/policy/fact"

// Clip keeps a message within what a document allows.
func Clip(s string) string { return fact.Clip(s, MaxMessage) }
