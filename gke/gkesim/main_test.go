package gkesim_test

import (
	"os"
	"testing"

	"gke-credential-rotator/scripts/fastgcloud"
)

func TestMain(m *testing.M) {
	stop := fastgcloud.Start()
	status := m.Run()
	stop()
	os.Exit(status)
}
