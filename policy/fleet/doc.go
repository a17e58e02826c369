// Package fleet is the words of the domain: what a cluster, its node pools, its CA
// bundle and its operations are, how they are named and selected, and what a place
// that could not be read covers. What to do with a cluster is not its business.
package fleet
