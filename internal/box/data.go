package box

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// DataPath is the folder of the box that data sets are shown in, read-only.
const DataPath = "/data"

// checkData panics where a step shows data at another place: the daemon has
// checked what a user asked for.
func (c Config) checkData() {
	for _, step := range c.Data {
		if step.Bind == nil || !strings.HasPrefix(step.Bind.Target, DataPath+"/") {
			panic(fmt.Sprintf("box: data that is not below %s: %+v", DataPath, step))
		}
	}
}

// makeDataDisk makes the disk with the box's data sets; an empty one where it
// has none.
func (b *Box) makeDataDisk(ctx context.Context, h *Host) (string, error) {
	path := filepath.Join(b.config.Dir, dataDisk)
	if err := b.makeFile(path); err != nil {
		return "", err
	}
	if len(b.config.Data) == 0 {
		return path, b.finishDisk(path)
	}
	err := b.refill(path, func(disk *os.File) error { return b.packData(ctx, h, disk) })
	if err != nil {
		return "", fmt.Errorf("packing the data: %w", err)
	}
	return path, nil
}

// packData packs the data sets as the box sees them. Everything in them belongs
// to root.
func (b *Box) packData(ctx context.Context, h *Host, out *os.File) error {
	plan := &blueprint{}
	defer plan.close()
	plan.dir(jailBox+DataPath, 0o755, 0)
	for _, step := range b.config.Data {
		if err := plan.imageStep(step); err != nil {
			return err
		}
	}
	return h.pack(ctx, out, plan, packing{args: packCommand(jailBox+DataPath, "--all-root"), note: b.note})
}

// finishDisk gives a packed disk, or an empty file, the size that every machine
// sees, and lets the monitor read it.
func (b *Box) finishDisk(path string) error {
	if err := errors.Join(os.Chmod(path, 0o600), os.Truncate(path, packedDiskSize)); err != nil {
		return fmt.Errorf("giving a disk its size: %w", err)
	}
	return b.handOver(path, 0o400)
}
