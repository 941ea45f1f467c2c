// A client-go informer of the kind controllers and dashboards are built on: it keeps a copy of one resource by list and
// watch, and prints a line of JSON for whatever happens to that copy. The feature gates of client-go are set in the
// environment: KUBE_FEATURE_WatchListClient=false makes it list first and watch then.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	kubeconfig   = flag.String("kubeconfig", "", "whom to ask, and as whom")
	resource     = flag.String("resource", "", "what to follow: RESOURCE.VERSION.GROUP, configmaps.v1. for a resource of the core")
	namespace    = flag.String("namespace", "", "where; everywhere by default")
	metadataOnly = flag.Bool("metadata", false, "follow only the metadata")
)

// line is what is printed: event is "synced", "failed" or what happened to the object.
type line struct {
	Event   string `json:"event"`
	Key     string `json:"key,omitempty"`
	Version string `json:"version,omitempty"`
	Object  any    `json:"object,omitempty"`
	Message string `json:"message,omitempty"`
}

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := follow(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func follow(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	informer, err := informerFor(config)
	if err != nil {
		return err
	}
	lines := make(chan line)
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { lines <- about("added", object) },
		UpdateFunc: func(_, object any) { lines <- about("updated", object) },
		DeleteFunc: func(object any) { lines <- about("deleted", object) },
	})
	if err != nil {
		return err
	}
	err = informer.SetWatchErrorHandler(func(_ *cache.Reflector, err error) {
		lines <- line{Event: "failed", Message: err.Error()}
	})
	if err != nil {
		return err
	}
	go informer.Run(ctx.Done())
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
			lines <- line{Event: "synced"}
		}
	}()
	output := json.NewEncoder(os.Stdout)
	for {
		select {
		case <-ctx.Done():
			return nil
		case each := <-lines:
			if err := output.Encode(each); err != nil {
				return err
			}
		}
	}
}

func informerFor(config *rest.Config) (cache.SharedIndexInformer, error) {
	what, _ := schema.ParseResourceArg(*resource)
	if what == nil {
		return nil, fmt.Errorf("-resource=%q is not RESOURCE.VERSION.GROUP", *resource)
	}
	indexers := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	var informer informers.GenericInformer
	if *metadataOnly {
		client, err := metadata.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		informer = metadatainformer.NewFilteredMetadataInformer(client, *what, *namespace, 0, indexers, nil)
	} else {
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		informer = dynamicinformer.NewFilteredDynamicInformer(client, *what, *namespace, 0, indexers, nil)
	}
	return informer.Informer(), nil
}

func about(event string, object any) line {
	// What went while nobody watched is known only by its key and by what it was last.
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return line{Event: "failed", Message: err.Error()}
	}
	key := strings.TrimPrefix(accessor.GetNamespace()+"/"+accessor.GetName(), "/")
	return line{Event: event, Key: key, Version: accessor.GetResourceVersion(), Object: object}
}
