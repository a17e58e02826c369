//go:build !race

package sim

// mostForecasts is how many seeds are forecast, unless told otherwise.
const mostForecasts = 3

// goOnFrom are the hours of the sample's story from which forecasts go on: among
// them rotations are in every phase.
var goOnFrom = []int{1, 2, 82, 83, 124}
