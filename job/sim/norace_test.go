//go:build !race

package sim_test

import "time"

// fleetEvery is how often the recorded fleet's runs are made.
const fleetEvery = time.Hour
