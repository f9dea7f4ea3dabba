package workload

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func takeNow(t *testing.T, p *pool) int {
	t.Helper()
	slot, ok := p.take(t.Context())
	require.True(t, ok)
	return slot
}

func TestTheSlotUsedLastIsUsedNext(t *testing.T) {
	p := newPool(3)
	first, second := takeNow(t, p), takeNow(t, p)
	p.give(second)
	p.give(first)
	require.Equal(t, first, takeNow(t, p))
	require.Equal(t, second, takeNow(t, p))
}

func TestRequestsThatWaitGetSlotsInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1)
		slot := takeNow(t, p)
		var order []int
		for i := range 3 {
			go func() {
				slot := takeNow(t, p)
				order = append(order, i)
				p.give(slot)
			}()
			synctest.Wait() // until it waits in line
		}
		p.give(slot)
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2}, order)
	})
}

func TestAWaitForASlotEndsWithTheRun(t *testing.T) {
	p := newPool(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, ok := p.take(ctx)
	require.False(t, ok)
}

// Two slots were ever busy at once, so three are kept, and never one in use.
func TestFreeSlotsThatMayBeNeededAreKeptReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(5)
		a, b := takeNow(t, p), takeNow(t, p)
		p.give(b)
		ctx, cancel := context.WithCancel(t.Context())
		var readied []int
		go p.keep(ctx, func(slot int) {
			if readied = append(readied, slot); len(readied) == 3 {
				cancel()
			}
		})
		<-ctx.Done()
		synctest.Wait()
		require.NotContains(t, readied, a)
		require.Contains(t, readied, b)
		slices.Sort(readied)
		require.Len(t, slices.Compact(readied), 3)
		for range 4 {
			takeNow(t, p) // all that were free still are
		}
	})
}

func TestASlotThatIsKeptGoesToWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan int, 1)
		go p.keep(ctx, func(slot int) {
			go func() { got <- takeNow(t, p) }()
			synctest.Wait() // until it waits in line
			cancel()
		})
		require.Equal(t, 0, <-got)
		p.give(0)
		require.Equal(t, 0, takeNow(t, p))
	})
}
