// The peer in Go: grpc-go with its defaults. Each stream counts in a map of its own, which is
// merged into the shared one under a lock when the stream ends. There is no Redis behind it, so
// what it is compared with does more work.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"google.golang.org/grpc"

	pb "peer/telemetry"
)

type ingest struct {
	pb.UnimplementedTelemetryIngestServer
	lock   sync.Mutex
	counts map[string]uint64
}

func (s *ingest) merge(local map[string]uint64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for device, count := range local {
		s.counts[device] += count
	}
}

func (s *ingest) StreamPackets(stream pb.TelemetryIngest_StreamPacketsServer) error {
	local := make(map[string]uint64)
	var received uint64
	for {
		packet, err := stream.Recv()
		if err == io.EOF {
			s.merge(local)
			return stream.SendAndClose(&pb.Ack{Received: received})
		}
		if err != nil {
			return err
		}
		local[packet.DeviceId]++
		received++
	}
}

// What was counted, on one line of JSON, so that the load can be checked against it.
func (s *ingest) print() {
	var packets uint64
	for _, count := range s.counts {
		packets += count
	}
	fmt.Printf("{\"packets\": %d, \"devices\": %d, \"grpc\": \"%s\"}\n",
		packets, len(s.counts), grpc.Version)
}

func main() {
	port := flag.Int("port", 0, "TCP port of 127.0.0.1; 0 is a free one")
	flag.Parse()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	service := &ingest{counts: make(map[string]uint64)}
	server := grpc.NewServer()
	pb.RegisterTelemetryIngestServer(server, service)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		server.Stop()
	}()
	fmt.Printf("listening on %s\n", listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
	service.print()
}
