// Package record is what is stored: the rotations in flight with their calls, the
// one document of the whole fleet, closed attempts, and notices that wait for their
// receivers. It knows how large each may get, and keeps the account of a
// rotation's calls; what any of it means for the next step is decided by package policy.
package record
