//go:build deep

package crash

import (
	"fmt"
	"testing"
	"time"
)

// TestKillTwice kills the program a second time while it recovers from the first:
// pairs of the requests that change something, with their answers lost.
func TestKillTwice(t *testing.T) {
	g := peace(t, oneJob)
	c := count{begun: time.Now()}
	const step = 2
	t.Run("pairs", func(t *testing.T) {
		changes := 0
		for n, e := range g.effects {
			if !e.changes {
				continue
			}
			changes++
			if changes%step != 1 {
				continue
			}
			for later := 1 + changes%3; later <= 12; later += 2 * step {
				t.Run(fmt.Sprintf("%d and the %d. change after it", n+1, later), func(t *testing.T) {
					t.Parallel()
					w := oneJob.world(t)
					since := -1
					w.meet = func(_ *world, at int, e effect) fault {
						if at == n+1 {
							since = 0
							return fault{kill: lost}
						}
						if since >= 0 && e.changes {
							if since++; since == later {
								return fault{kill: moments[n%len(moments)]}
							}
						}
						return fault{}
					}
					w.play()
					w.same(g, 2)
					c.add(w)
				})
			}
		}
	})
	c.tell(t, "kills")
}
