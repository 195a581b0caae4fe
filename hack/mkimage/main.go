// Command mkimage makes the images of Millrace without a container engine, from the lists in hack/image.
//
//	mkimage -list media -built bin -name millrace/media:dev -o media.tar   an archive for ctr images import
//	mkimage -list media -built bin -root /out                              only the files, for the Dockerfile
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/millrace/millrace/hack/image"
)

func main() {
	name := flag.String("list", image.Media, "which image: operator or media")
	built := flag.String("built", "bin", "folder of the binary millrace")
	reference := flag.String("name", "", "name and tag of the image")
	out := flag.String("o", "", "archive to write")
	root := flag.String("root", "", "folder to copy the files to, instead")
	flag.Parse()
	if err := run(context.Background(), *name, *built, *reference, *out, *root); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name, built, reference, out, root string) error {
	list, err := image.Read(name)
	if err != nil {
		return err
	}
	entries, err := list.Collect(ctx, built)
	if err != nil {
		return err
	}
	if root != "" {
		return image.CopyTo(root, entries)
	}
	if reference == "" || out == "" {
		return errors.New("an archive wants -name and -o")
	}
	f, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("making the archive: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(list.Write(w, reference, entries), w.Flush(), f.Close())
}
