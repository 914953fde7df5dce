// Drives CNI plugins as Go's runtimes do, by libcni: the peer of our runtime in
// libcni_kernel_test.
//
//	libcni_driver add|check|del CONFLIST CACHE_DIR CNI_PATH ID NETNS IFNAME
//
// Prints the result of ADD. Runs in the network namespace that it is started
// in.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

func run(args []string) error {
	if len(args) != 7 {
		return fmt.Errorf("want 7 arguments, have %d", len(args))
	}
	list, err := libcni.ConfListFromFile(args[1])
	if err != nil {
		return err
	}
	cni := libcni.NewCNIConfigWithCacheDir(strings.Split(args[3], ":"), args[2], nil)
	runtime := &libcni.RuntimeConf{
		ContainerID: args[4],
		NetNS:       args[5],
		IfName:      args[6],
		Args:        [][2]string{{"IgnoreUnknown", "1"}, {"K8S_POD_NAME", "web"}},
	}
	switch args[0] {
	case "add":
		result, err := cni.AddNetworkList(context.Background(), list, runtime)
		if err != nil {
			return err
		}
		return result.Print()
	case "check":
		return cni.CheckNetworkList(context.Background(), list, runtime)
	case "del":
		return cni.DelNetworkList(context.Background(), list, runtime)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
