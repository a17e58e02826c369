// Package fastgcloud makes the gcloud of this machine fast enough for tests that run
// it some hundred times.
package fastgcloud

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

//go:embed gcloud.py
var forking string

// command is what a client sends.
type command struct {
	Args, Env []string
	Dir       string
	Group     int // of processes
}

const socketVariable = "ROTATOR_FASTGCLOUD" // says to whom this program is the client

// Start is for the beginning of a TestMain: until stop gcloud on PATH is the one of
// this machine, but loaded once for all commands, as gcloud.py tells. Its client is
// this very program, which ends here then.
func Start() (stop func()) {
	if socket := os.Getenv(socketVariable); socket != "" {
		status, err := run(socket)
		if err != nil {
			fmt.Fprintln(os.Stderr, "fastgcloud:", err)
		}
		os.Exit(status)
	}
	program, err := exec.LookPath("gcloud")
	if err != nil {
		return func() {} // its tests will say so
	}
	input, cmd, err := start(program)
	if err != nil {
		panic(err)
	}
	return func() {
		_ = input.Close() // also where this process is killed
		_ = cmd.Wait()
	}
}

func start(program string) (input io.Closer, cmd *exec.Cmd, err error) {
	dir, err := os.MkdirTemp("", "rotator-gcloud-")
	if err != nil {
		return nil, nil, err
	}
	if err := install(dir, program); err != nil {
		return nil, nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	socket, err := listener.File()
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.Command(program)
	// The wrapper takes -S away where its Python is not to have it, and adds none at the end.
	arguments := "-S " + filepath.Join(dir, "gcloud.py")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CLOUDSDK_PYTHON_ARGS=" + arguments}
	cmd.ExtraFiles, cmd.Stderr = []*os.File{socket}, os.Stderr
	if input, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return input, cmd, os.Setenv("PATH", filepath.Join(dir, "bin")+string(os.PathListSeparator)+
		os.Getenv("PATH"))
}

// install makes of dir an installation of gcloud, with what else is found beside one.
func install(dir, program string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return err
	}
	client := fmt.Sprintf("#!/bin/sh\n%s='%s/socket' exec '%s' \"$@\"\n", socketVariable, dir, self)
	return errors.Join(
		os.Mkdir(filepath.Join(dir, "bin"), 0o700),
		os.WriteFile(filepath.Join(dir, "bin/gcloud"), []byte(client), 0o700), //nolint:gosec // it is to be run
		os.WriteFile(filepath.Join(dir, "gcloud.py"), []byte(forking), 0o600),
		os.Symlink(filepath.Join(filepath.Dir(program), "../platform"), filepath.Join(dir, "platform")))
}

// run has a fork of gcloud do what this process was started for.
func run(socket string) (status int, err error) {
	const failed = 125 // no status of gcloud's
	if err := os.Unsetenv(socketVariable); err != nil {
		return failed, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return failed, err
	}
	text, err := json.Marshal(command{Args: os.Args[1:], Env: os.Environ(), Dir: dir, Group: syscall.Getpgrp()})
	if err != nil {
		return failed, err
	}
	server, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return failed, err
	}
	if _, _, err = server.WriteMsgUnix(text[:1], syscall.UnixRights(0, 1, 2), nil); err != nil {
		return failed, err
	}
	if _, err = server.Write(text[1:]); err != nil {
		return failed, err
	}
	if err = server.CloseWrite(); err != nil {
		return failed, err
	}
	answer := make([]byte, 1)
	if _, err = io.ReadFull(server, answer); err != nil {
		return failed, err
	}
	return int(answer[0]), nil
}
