// Plays calls with grpc-go, as harness/foreign.py has them: a JSON object on standard input, a list
// of results on standard output. Messages go as bytes, so that no stub stands in between. Builds
// with grpc-go 1.33, which Debian 12 has, and with what go.mod pins.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

type call struct {
	Path       string            `json:"path"`
	Messages   [][]byte          `json:"messages"` // base64 in JSON
	Repeat     int               `json:"repeat"`
	DeadlineMs int               `json:"deadline_ms"`
	CancelMs   int               `json:"cancel_ms"`
	HoldMs     int               `json:"hold_ms"`
	Gzip       bool              `json:"gzip"`
	Metadata   map[string]string `json:"metadata"`
	Times      int               `json:"times"`
	PauseMs    int               `json:"pause_ms"`
}

type script struct {
	Targets     []string `json:"targets"`
	KeepaliveMs int      `json:"keepalive_ms"`
	CA          string   `json:"ca"`
	Calls       []call   `json:"calls"`
}

type result struct {
	Code      uint32            `json:"code"`
	Message   string            `json:"message"`
	Responses [][]byte          `json:"responses"`
	Trailers  map[string]string `json:"trailers"`
}

// Bytes as they are.
type codec struct{}

func (codec) Marshal(v interface{}) ([]byte, error) { return *v.(*[]byte), nil }
func (codec) Unmarshal(data []byte, v interface{}) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (codec) Name() string   { return "proto" }
func (codec) String() string { return "proto" }

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func connect(s *script) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: milliseconds(100), Multiplier: 1.6, MaxDelay: milliseconds(500),
			},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultServiceConfig(`{"loadBalancingPolicy":"round_robin"}`),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{})),
	}
	if s.KeepaliveMs > 0 {
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: milliseconds(s.KeepaliveMs), Timeout: 5 * time.Second, PermitWithoutStream: true,
		}))
	}
	if s.CA == "" {
		options = append(options, grpc.WithInsecure())
	} else {
		tls, err := credentials.NewClientTLSFromFile(s.CA, "")
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithTransportCredentials(tls))
	}
	servers := manual.NewBuilderWithScheme("servers")
	addresses := resolver.State{}
	for _, target := range s.Targets {
		addresses.Addresses = append(addresses.Addresses, resolver.Address{Addr: target})
	}
	servers.InitialState(addresses)
	options = append(options, grpc.WithResolvers(servers))
	return grpc.Dial("servers:///localhost", options...)
}

func write(stream grpc.ClientStream, c *call) {
	for i := 0; i < c.Repeat; i++ {
		for j := range c.Messages {
			if stream.SendMsg(&c.Messages[j]) != nil {
				return
			}
		}
	}
	select {
	case <-time.After(milliseconds(c.HoldMs)):
	case <-stream.Context().Done():
	}
	stream.CloseSend()
}

func play(connection *grpc.ClientConn, c *call) result {
	got := result{Responses: [][]byte{}, Trailers: map[string]string{}}
	ctx, cancel := context.WithTimeout(context.Background(), milliseconds(c.DeadlineMs))
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(c.Metadata))
	if c.CancelMs > 0 {
		time.AfterFunc(milliseconds(c.CancelMs), cancel)
	}
	options := []grpc.CallOption{grpc.WaitForReady(true)}
	if c.Gzip {
		options = append(options, grpc.UseCompressor("gzip"))
	}
	both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := connection.NewStream(ctx, both, c.Path, options...)
	if err == nil {
		go write(stream, c)
		for {
			var response []byte
			if err = stream.RecvMsg(&response); err != nil {
				break
			}
			got.Responses = append(got.Responses, response)
		}
		for name, values := range stream.Trailer() {
			got.Trailers[name] = values[0]
		}
	}
	if err != io.EOF {
		state, _ := status.FromError(err)
		got.Code, got.Message = uint32(state.Code()), state.Message()
	}
	return got
}

func main() {
	var s script
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		log.Fatal(err)
	}
	connection, err := connect(&s)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	results := make([][]result, len(s.Calls))
	var running sync.WaitGroup
	for i := range s.Calls {
		running.Add(1)
		go func(i int) {
			defer running.Done()
			for j := 0; j < s.Calls[i].Times; j++ {
				if j > 0 {
					time.Sleep(milliseconds(s.Calls[i].PauseMs))
				}
				results[i] = append(results[i], play(connection, &s.Calls[i]))
			}
		}(i)
	}
	running.Wait()
	all := []result{}
	for _, some := range results {
		all = append(all, some...)
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
