package builtin

import (
	"math"
	"math/rand/v2"
	"sync"

	"github.com/google/uuid"

	"github.com/pamirdb/pamir/sql/types"
)

// seeded is the generator after setseed; until then the runtime's is used.
var seeded struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func randomFloat() float64 {
	seeded.mu.Lock()
	defer seeded.mu.Unlock()
	if seeded.rng != nil {
		return seeded.rng.Float64()
	}
	return rand.Float64()
}

func seedRandom(f float64) {
	seeded.mu.Lock()
	defer seeded.mu.Unlock()
	seeded.rng = rand.New(rand.NewPCG(math.Float64bits(f), 0x9e3779b97f4a7c15))
}

func init() {
	row("gen_random_uuid", func(c *Call) error {
		u, err := uuid.NewRandom()
		if err != nil {
			return types.Errorf(types.CodeInternal, "could not generate random values: %v", err)
		}
		return c.RetBytes(u[:])
	})
}
