//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// fakeVar makes the test binary a server: its value is the address to serve at, or
// "fail" for a server that ends before it answers.
const fakeVar = "SERVERS_TEST_FAKE"

func TestMain(m *testing.M) {
	if address := os.Getenv(fakeVar); address != "" {
		os.Exit(fake(address))
	}
	testscript.Main(m, map[string]func(){
		"servers": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// fake serves 200 to every GET, with a child in its session that ignores it all.
func fake(address string) int {
	if address == "fail" {
		for i := range 30 {
			fmt.Printf("line %d of the log\n", i)
		}
		return 3
	}
	if err := exec.Command("sleep", "600").Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	fmt.Println(http.ListenAndServe(address, ok))
	return 1
}

// fakeServer describes such a server at a port of its own.
func fakeServer(t *testing.T) server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return server{
		Name:  "fake",
		Args:  []string{os.Args[0]},
		Env:   []string{fakeVar + "=" + address.String()},
		Ports: map[string]int{"fake-port": address.Port},
		Ready: []probe{{URL: "http://" + address.String()}},
	}
}

// testDir is a state folder whose fake server, if any, ends with the test.
func testDir(t *testing.T) stateDir {
	t.Helper()
	dir := stateDir(filepath.Join(t.TempDir(), "run"))
	unlock, err := dir.lock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer unlock()
		if err := stop(dir, "fake", os.Stderr); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// eventually waits for a condition that another process brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
