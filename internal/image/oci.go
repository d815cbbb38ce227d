package image

import (
	"bytes"
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
	img, digest, err := choose(path, tag)
	if err != nil {
		return nil, err
	}
	if err := verifyHead(img, digest); err != nil {
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
	if a := config.Architecture; a != "" && a != runtime.GOARCH {
		return nil, fmt.Errorf("the image %q is for %q, and this machine is %s; use an image for linux/%s", ref, a, runtime.GOARCH, runtime.GOARCH)
	}
	result.Env, result.digest = environment(config), digest.String()
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

// choose finds the image that a tag and this machine's platform mean, and the
// digest by which the layout names it.
func choose(path, tag string) (v1.Image, v1.Hash, error) {
	var none v1.Hash
	index, err := layout.ImageIndexFromPath(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, none, fmt.Errorf("%q is no OCI layout: it has no index.json; `skopeo copy` makes one from any image", path)
	}
	if err != nil {
		return nil, none, fmt.Errorf("reading the OCI layout %q: %w", path, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, none, fmt.Errorf("reading the OCI layout %q: %w", path, err)
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
		return nil, none, fmt.Errorf("choosing from the OCI layout %q (it holds %q): %w", path, names, err)
	}
	if d.MediaType.IsIndex() {
		return chooseNested(index, d)
	}
	img, err := index.Image(d.Digest)
	return img, d.Digest, err
}

// chooseNested finds the image in an index that the layout's index names.
func chooseNested(index v1.ImageIndex, d v1.Descriptor) (v1.Image, v1.Hash, error) {
	var none v1.Hash
	nested, err := index.ImageIndex(d.Digest)
	if err != nil {
		return nil, none, fmt.Errorf("reading a nested index: %w", err)
	}
	raw, err := nested.RawManifest()
	if err != nil {
		return nil, none, fmt.Errorf("reading a nested index: %w", err)
	}
	if err := matches(raw, d.Digest); err != nil {
		return nil, none, fmt.Errorf("reading a nested index: %w", err)
	}
	manifest, err := nested.IndexManifest()
	if err != nil {
		return nil, none, fmt.Errorf("reading a nested index: %w", err)
	}
	inner, err := suited(manifest.Manifests)
	if err != nil {
		return nil, none, err
	}
	if inner.MediaType.IsIndex() {
		return nil, none, errors.New("the index is nested more than once")
	}
	img, err := nested.Image(inner.Digest)
	return img, inner.Digest, err
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
	if whole(home, digest) {
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
	if errors.Is(err, fs.ErrExist) && !whole(home, digest) {
		// What is there is no whole image and was not put there by this code.
		err = errors.Join(os.RemoveAll(home), os.Rename(temp, home))
	} else if errors.Is(err, fs.ErrExist) { // another process was faster
		err = nil
	}
	return root, err
}

// whole says whether a folder of the cache holds the unpacked image.
func whole(home string, digest v1.Hash) bool {
	mark, err := os.ReadFile(filepath.Join(home, complete))
	return err == nil && string(mark) == digest.String()
}

// verifyHead checks the manifest and the configuration against their digests.
// The configuration holds the digests of the layers' contents, which are
// checked while they are unpacked.
func verifyHead(img v1.Image, digest v1.Hash) error {
	raw, err := img.RawManifest()
	if err != nil {
		return err
	}
	if err := matches(raw, digest); err != nil {
		return fmt.Errorf("the manifest: %w", err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	if err := matches(config, manifest.Config.Digest); err != nil {
		return fmt.Errorf("the configuration: %w", err)
	}
	return nil
}

func matches(data []byte, want v1.Hash) error {
	got, _, err := v1.SHA256(bytes.NewReader(data))
	if err == nil && got != want {
		err = fmt.Errorf("it has the digest %v, not %v: it was altered", got, want)
	}
	return err
}
