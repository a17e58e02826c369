//go:build race

package sim

// The race detector makes each play ten times as dear.
const mostForecasts = 1

var goOnFrom = []int{2, 82}
