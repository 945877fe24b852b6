// An admission controller: admission -cert tls.crt -key tls.key POLICY.yaml...
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	portcullis "portcullis.dev/go"
)

func main() {
	listen := flag.String("listen", ":8443", "where API servers reach it")
	cert := flag.String("cert", "", "certificate; plain HTTP without one, for trying it out")
	key := flag.String("key", "", "its key")
	flag.Parse()
	var documents []portcullis.Document
	for _, path := range flag.Args() {
		text, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		documents = append(documents, portcullis.Document{Name: path, Text: string(text)})
	}
	// Who enforces does not start with policies that are wrong, nor with none.
	policies, err := portcullis.Load(documents...)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/admit", policies.Handler(portcullis.HandlerOptions{}))
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	log.Printf("%d constraints, listening on %s", len(policies.Compiled().Constraints), *listen)
	if *cert == "" {
		log.Fatal(server.ListenAndServe())
	}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}
