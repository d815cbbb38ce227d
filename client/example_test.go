package client_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"proofbox"
	"proofbox/client"
)

// A command works on a copy of a folder; one of the files it wrote is kept.
func Example() {
	folder, err := os.MkdirTemp("", "example-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	project := filepath.Join(folder, "project")
	if err := os.Mkdir(project, 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(project, "greeting"), []byte("helo\n"), 0o644); err != nil {
		log.Fatal(err)
	}

	c := client.Client{Home: filepath.Join(folder, "state")} // leave Home out for the user's own
	defer c.Close()
	ctx := context.Background()
	run, err := c.Run(ctx, client.Command{
		Spec:   proofbox.Spec{Workspace: proofbox.Workspace{Original: project}},
		Args:   []string{"sh", "-c", "sed -i s/helo/hello/ greeting; rm -f /usr/bin/env; echo done >report"},
		Stderr: os.Stderr,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ended:", run.Ended, "- every object gone:", run.Teardown.Clean)

	diff, err := c.Diff(ctx, run.ID, proofbox.DiffRequest{})
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range diff.Changes {
		fmt.Println(change.Action(), change.Path)
	}
	if _, err := c.Keep(ctx, run.ID, proofbox.KeepRequest{Paths: []proofbox.Raw{"greeting"}}); err != nil {
		log.Fatal(err)
	}
	if _, err := c.Discard(ctx, run.ID); err != nil {
		log.Fatal(err)
	}
	greeting, err := os.ReadFile(filepath.Join(project, "greeting"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("kept: %s", greeting)
	// Output:
	// ended: exit status 0 - every object gone: true
	// modified greeting
	// added report
	// kept: hello
}

// Plan says what a run would do, and why, without doing it.
func ExampleClient_Plan() {
	var c client.Client
	defer c.Close()
	spec := proofbox.Spec{
		Risk: proofbox.Risk{Code: proofbox.Agent}, Wall: proofbox.Gvisor,
		Workspace: proofbox.Workspace{Original: "none"},
	}
	plan, err := c.Plan(context.Background(), spec, []string{"python3", "job.py"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Terms.Wall, plan.Terms.Limits.Memory)
	// Output: gvisor 512MiB
}
