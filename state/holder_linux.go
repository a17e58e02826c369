package state

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// holder names the process that has the file locked, as the kernel's list of
// locks tells it.
func holder(path string) string {
	const unknown = "another rotator process"
	info, err := os.Stat(path)
	if err != nil {
		return unknown
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	locks, err := os.ReadFile("/proc/locks")
	if !ok || err != nil {
		return unknown
	}
	// 1: FLOCK  ADVISORY  WRITE 4711 fd:00:123456 0 EOF
	inode := fmt.Sprintf(":%d", stat.Ino)
	for _, line := range strings.Split(string(locks), "\n") {
		f := strings.Fields(line)
		if len(f) > 5 && f[1] == "FLOCK" && strings.HasSuffix(f[5], inode) {
			return "the process " + f[4]
		}
	}
	return unknown
}
