package kvtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// skewed are clocks that differ by almost the tolerated maximum.
func skewed(id ids.NodeID) *hlc.Clock {
	const maxOffset = 100 * time.Millisecond
	offset := time.Duration(id-2) * 45 * time.Millisecond
	return hlc.NewClock(func() int64 { return time.Now().Add(offset).UnixNano() }, maxOffset)
}

type registerOp struct {
	key   int
	write bool
	value string
}

// registers says what single registers may answer: what was written last.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, op := range history {
			k := op.Input.(registerOp).key
			parts[k] = append(parts[k], op)
		}
		var out [][]porcupine.Operation
		for _, p := range parts {
			out = append(out, p)
		}
		return out
	},
	Init: func() any { return "-" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(registerOp); in.write {
			return true, in.value
		}
		return output == state, state
	},
	DescribeOperation: func(input, output any) string {
		in := input.(registerOp)
		if in.write {
			return fmt.Sprintf("%d := %s", in.key, in.value)
		}
		return fmt.Sprintf("%d is %v", in.key, output)
	},
}

// TestRegistersAreLinearizable runs reads and writes of single keys on nodes
// whose clocks differ, while leases move.
func TestRegistersAreLinearizable(t *testing.T) {
	for name, o := range map[string]kvtest.Options{
		"steady": {Nodes: 3, Clock: skewed, Splits: []api.Key{key(1), key(2), key(3)}},
		"moving": {Nodes: 3, Clock: skewed, SplitEveryKey: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := kvtest.NewCluster(o)
			defer c.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			var mu sync.Mutex
			var history []porcupine.Operation
			start := time.Now()
			var wg sync.WaitGroup
			for w := range 6 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					r := rand.New(rand.NewPCG(uint64(w), 3))
					for n := range 80 {
						op := registerOp{key: r.IntN(4), write: r.IntN(2) == 0, value: strconv.Itoa(w*1000 + n)}
						call := time.Since(start)
						out, err := register(ctx, c.Node(ids.NodeID(w%3+1)), op)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						history = append(history, porcupine.Operation{ClientId: w, Input: op, Output: out,
							Call: int64(call), Return: int64(time.Since(start))})
						mu.Unlock()
					}
				}()
			}
			wg.Wait()
			if !porcupine.CheckOperations(registers, history) {
				t.Error("the history is not linearizable")
			}
			if o.Splits != nil {
				history[len(history)/2].Output = "never written"
				history[len(history)/2].Input = registerOp{key: 1}
				if porcupine.CheckOperations(registers, history) {
					t.Error("the checker accepts anything")
				}
			}
		})
	}
}

func register(ctx context.Context, db kv.DB, op registerOp) (out string, err error) {
	err = db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		if op.write {
			b.Put(key(op.key), []byte(op.value), api.Expect{})
			return t.Send(ctx, &b)
		}
		b.Get(key(op.key))
		if err := t.Send(ctx, &b); err != nil {
			return err
		}
		if out = "-"; b.Responses[0].Exists {
			out = string(b.Responses[0].Value)
		}
		return nil
	})
	return out, err
}

func TestListAppendWithSkewedClocks(t *testing.T) {
	for name, o := range map[string]kvtest.Options{
		"steady": {Nodes: 3, Clock: skewed, Splits: shapes()["nodes"].Splits},
		"moving": {Nodes: 3, Clock: skewed, SplitEveryKey: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := kvtest.NewCluster(o)
			defer c.Close()
			l := &lists{c: c, keys: 6}
			l.run(t, 3, 6, 20, kv.TxnOptions{})
		})
	}
}

// Banks move money between accounts; at every level the sum is what it was, and
// at every level but READ COMMITTED every transaction sees it so.
func TestBank(t *testing.T) {
	const accounts = 8
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for i := range accounts {
			commitPut(t, db, 7*i, "100")
		}
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				r := rand.New(rand.NewPCG(uint64(w), 8))
				level := levels[w%3]
				for range 25 {
					from, to := r.IntN(accounts), r.IntN(accounts)
					err := db.Run(ctx, kv.TxnOptions{Isolation: level}, func(t kv.Txn) error {
						if r.IntN(4) == 0 {
							return checkSum(ctx, t, accounts)
						}
						return transfer(ctx, t, min(from, to), max(from, to), r.IntN(20))
					})
					if err != nil {
						t.Error(level, err)
						return
					}
				}
			}()
		}
		wg.Wait()
		tx := begin(t, db, kv.TxnOptions{})
		must(t, checkSum(ctx, tx, accounts))
		must(t, tx.Commit(ctx))
	})
}

var errSum = errors.New("money was made or lost")

func checkSum(ctx context.Context, t kv.Txn, accounts int) error {
	sum := 0
	var b kv.Batch
	b.Scan(key(0), key(7*accounts), nil)
	if err := t.Send(ctx, &b); err != nil {
		return err
	}
	for _, kv := range b.Responses[0].KVs {
		n, err := strconv.Atoi(string(kv.Value))
		if err != nil {
			return err
		}
		sum += n
	}
	if sum != 100*accounts {
		return fmt.Errorf("%w: %d", errSum, sum)
	}
	return nil
}

func transfer(ctx context.Context, t kv.Txn, from, to, amount int) error {
	if from == to {
		return nil
	}
	var b kv.Batch
	b.GetLocked(key(7*from), api.LockExclusive, api.WaitBlock)
	b.GetLocked(key(7*to), api.LockExclusive, api.WaitBlock)
	if err := t.Send(ctx, &b); err != nil {
		return err
	}
	a, err := strconv.Atoi(string(b.Responses[0].Value))
	if err != nil {
		return err
	}
	z, err := strconv.Atoi(string(b.Responses[1].Value))
	if err != nil {
		return err
	}
	b.Reset()
	b.Put(key(7*from), []byte(strconv.Itoa(a-amount)), api.Expect{})
	b.Put(key(7*to), []byte(strconv.Itoa(z+amount)), api.Expect{})
	return t.Send(ctx, &b)
}
