// sarama under the client matrix (../README.md).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
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

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func main() {
	bootstrap := []string{os.Args[1]}
	a := os.Args[2:]
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	switch a[0] {
	case "codecs":
		fmt.Println("none gzip snappy lz4 zstd")
	case "create":
		admin, err := sarama.NewClusterAdmin(bootstrap, config)
		check(err)
		check(admin.CreateTopic(a[1], &sarama.TopicDetail{NumPartitions: int32(number(a[2])), ReplicationFactor: 1}, false))
		check(admin.Close())
	case "produce":
		produce(bootstrap, config, a[1], a[2], number(a[3]), a[4], number(a[5]))
	case "consume":
		consume(bootstrap, config, a[1], a[2])
	}
}

func produce(bootstrap []string, config *sarama.Config, topic, codec string, count int, prefix string, rate int) {
	config.Producer.Compression = codecs[codec]
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Retry.Max = 200
	config.Producer.Retry.Backoff = 100 * time.Millisecond
	config.Metadata.Retry.Max = 100
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewAsyncProducer(bootstrap, config)
	check(err)
	done := make(chan int)
	go func() {
		acked := 0
		for acked < count {
			select {
			case <-producer.Successes():
				acked++
			case err := <-producer.Errors():
				check(err.Err)
			}
		}
		done <- acked
	}()
	started := time.Now()
	for i := 0; i < count; i++ {
		if rate > 0 {
			time.Sleep(time.Until(started.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		key := fmt.Sprintf("%s-%d", prefix, i)
		producer.Input() <- &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder("value of " + key)}
	}
	fmt.Println("acked", <-done)
	check(producer.Close())
}

type member struct{ topic string }

func (m member) Setup(s sarama.ConsumerGroupSession) error {
	var names []string
	for _, p := range s.Claims()[m.topic] {
		names = append(names, strconv.Itoa(int(p)))
	}
	fmt.Println("assigned", strings.Join(names, ","))
	return nil
}

func (m member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				return nil
			}
			fmt.Printf("record %d %d %s %s\n", message.Partition, message.Offset, message.Key, message.Value)
			s.MarkMessage(message, "")
			if len(claim.Messages()) == 0 {
				s.Commit()
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

func consume(bootstrap []string, config *sarama.Config, topic, group string) {
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Metadata.Retry.Max = 100
	consumer, err := sarama.NewConsumerGroup(bootstrap, group, config)
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{topic}, member{topic}); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
			fmt.Println("again", strings.ReplaceAll(err.Error(), " ", "_"))
			time.Sleep(50 * time.Millisecond)
		}
	}
	check(consumer.Close())
	fmt.Println("closed")
}
