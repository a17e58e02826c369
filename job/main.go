// Command rotator rotates the credentials of GKE clusters by policy.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows name zones, and the image has none
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: 0 when it did what was asked, 1 when the store or every project was out of
// reach, 2 when settings or arguments are wrong.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	a := newApp(environ, stdout, stderr)
	return a.exit(a.command(args).ExecuteContext(ctx))
}
