package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// refName is the annotation by which an OCI layout names its images.
const refName = "org.opencontainers.image.ref.name"

// maxLayers bounds the layers of an image.
const maxLayers = 256

// layoutImage gives the image in an OCI layout, unpacked once and kept by its
// manifest's digest.
func layoutImage(ctx context.Context, ref, cache string) (*Image, error) {
	path, tag := splitTag(ref)
	img, err := choose(path, tag)
	if err != nil {
		return nil, err
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, fmt.Errorf("reading the image %q: %w", ref, err)
	}
	root, err := unpackOnce(ctx, img, digest, cache)
	if err != nil {
		return nil, fmt.Errorf("unpacking the image %q: %w", ref, err)
	}
	result, err := fromFolder(root, fmt.Sprintf("the OCI image %s in %s", digest, path))
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of the image %q: %w", ref, err)
	}
	result.Env = environment(config)
	return result, nil
}

// splitTag takes a tag off a layout's path. A colon in the path itself is
// meant where the whole exists.
func splitTag(ref string) (path, tag string) {
	if exists(ref) {
		return ref, ""
	}
	if i := strings.LastIndexByte(ref, ':'); i > 0 && !strings.Contains(ref[i:], "/") {
		return ref[:i], ref[i+1:]
	}
	return ref, ""
}

// choose finds the image that a tag and this machine's platform mean.
func choose(path, tag string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("reading the OCI layout %q: %w", path, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading the OCI layout %q: %w", path, err)
	}
	var names []string
	var found []v1.Descriptor
	for _, d := range manifest.Manifests {
		name := d.Annotations[refName]
		names = append(names, name)
		if tag == "" || tag == name || tag == d.Digest.String() {
			found = append(found, d)
		}
	}
	d, err := suited(found)
	if err != nil {
		return nil, fmt.Errorf("choosing from the OCI layout %q (it holds %q): %w", path, names, err)
	}
	if d.MediaType.IsIndex() {
		return chooseNested(index, d)
	}
	return index.Image(d.Digest)
}

func chooseNested(index v1.ImageIndex, d v1.Descriptor) (v1.Image, error) {
	nested, err := index.ImageIndex(d.Digest)
	if err != nil {
		return nil, fmt.Errorf("reading a nested index: %w", err)
	}
	manifest, err := nested.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading a nested index: %w", err)
	}
	inner, err := suited(manifest.Manifests)
	if err != nil {
		return nil, err
	}
	if inner.MediaType.IsIndex() {
		return nil, errors.New("the index is nested more than once")
	}
	return nested.Image(inner.Digest)
}

// suited picks the only manifest that runs on this machine.
func suited(all []v1.Descriptor) (v1.Descriptor, error) {
	var found []v1.Descriptor
	for _, d := range all {
		p := d.Platform
		if p == nil || p.OS == "linux" && p.Architecture == runtime.GOARCH {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return v1.Descriptor{}, fmt.Errorf("none is for linux/%s and has that name", runtime.GOARCH)
	}
	return v1.Descriptor{}, fmt.Errorf("%d images fit; name one by its tag", len(found))
}

func environment(c *v1.ConfigFile) map[string]string {
	env := map[string]string{}
	for _, e := range c.Config.Env {
		if name, value, ok := strings.Cut(e, "="); ok && name != "" {
			env[name] = value
		}
	}
	return env
}

// complete is the file that says that an unpacked image is whole. It is made
// last, in the temporary folder, before that gets its name.
const complete = "complete"

// unpackOnce gives the root of an unpacked image.
func unpackOnce(ctx context.Context, img v1.Image, digest v1.Hash, cache string) (string, error) {
	home := filepath.Join(cache, digest.Algorithm+"-"+digest.Hex)
	root := filepath.Join(home, "root")
	if mark, err := os.ReadFile(filepath.Join(home, complete)); err == nil && string(mark) == digest.String() {
		return root, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(cache, ".new-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp) // what is left of it where it has not become the cache
	if err := unpack(ctx, img, filepath.Join(temp, "root")); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(temp, complete), []byte(digest.String()), 0o600); err != nil {
		return "", err
	}
	err = os.Rename(temp, home)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return root, nil
	}
	return root, err
}
