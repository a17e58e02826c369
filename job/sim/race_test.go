//go:build race

package sim_test

import "time"

// fleetEvery is how often the recorded fleet's runs are made: the race detector
// makes each ten times as dear.
const fleetEvery = 4 * time.Hour
