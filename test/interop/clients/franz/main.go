// franz-go under the client matrix (../README.md).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func main() {
	seed := kgo.SeedBrokers(os.Args[1])
	a := os.Args[2:]
	switch a[0] {
	case "codecs":
		fmt.Println("none gzip snappy lz4 zstd")
	case "create":
		client, err := kgo.NewClient(seed)
		check(err)
		_, err = kadm.NewClient(client).CreateTopic(context.Background(), int32(number(a[2])), 1, nil, a[1])
		check(err)
	case "produce":
		produce(seed, a[1], a[2], number(a[3]), a[4], number(a[5]))
	case "consume":
		consume(seed, a[1], a[2])
	}
}

func produce(seed kgo.Opt, topic, codec string, count int, prefix string, rate int) {
	client, err := kgo.NewClient(seed, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codecs[codec]),
		kgo.ProducerLinger(5*time.Millisecond))
	check(err)
	var acked atomic.Int64
	started := time.Now()
	for i := 0; i < count; i++ {
		if rate > 0 {
			time.Sleep(time.Until(started.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		key := fmt.Sprintf("%s-%d", prefix, i)
		client.Produce(context.Background(), &kgo.Record{Key: []byte(key), Value: []byte("value of " + key)}, func(_ *kgo.Record, err error) {
			check(err)
			acked.Add(1)
		})
	}
	check(client.Flush(context.Background()))
	client.Close()
	fmt.Println("acked", acked.Load())
}

func consume(seed kgo.Opt, topic, group string) {
	owned := map[int32]bool{}
	say := func() {
		var names []string
		for p := range owned {
			names = append(names, strconv.Itoa(int(p)))
		}
		sort.Strings(names)
		fmt.Println("assigned", strings.Join(names, ","))
	}
	client, err := kgo.NewClient(seed, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			for _, p := range m[topic] {
				owned[p] = true
			}
			say()
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			for _, p := range m[topic] {
				delete(owned, p)
			}
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			for _, p := range m[topic] {
				delete(owned, p)
			}
		}))
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		read := 0
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Println("record", r.Partition, r.Offset, string(r.Key), string(r.Value))
			read++
		})
		if read > 0 {
			if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
				fmt.Println("uncommitted", strings.ReplaceAll(err.Error(), " ", "_"))
			}
		}
		client.AllowRebalance()
	}
	client.Close()
	fmt.Println("closed")
}
