//go:build !linux

package state

// holder names the process that has the file locked, where the system tells.
func holder(string) string { return "another rotator process" }
