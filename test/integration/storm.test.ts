/**
 * Two hundred clients of a cluster whose nodes are all restarted at once, over real sockets: dials begin no faster and
 * handshakes are no more at a time than the limiter allows, and everybody is connected again.
 *
 * What is asserted holds on a machine of any speed: a dial may come later than its turn, and never earlier.
 */
import { ConnectLimiter, NodePool, type Socket, Ticker, Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"

const CLIENTS = 200
const NODES = 3
const SHARDS = 2
const LIMITS = { rate: 500, burst: 100, concurrency: 24, concurrencyPerNode: 10, slowStartAfter: 32 }
/** Answers that a handshake waits for: to OPTIONS and to STARTUP. */
const ANSWERS = 2
/** Milliseconds by which a timer may be early. */
const EARLY = 5

/** The default transport, watched. */
class Watched {
  /** When dials began, milliseconds. */
  readonly begun: Array<number> = []
  /** Dials and handshakes under way: as they end before the limiter can know of it, these are never too many. */
  underWay = 0
  most = 0
  /** Connections that were lost, and when the one was that makes what follows start slowly. */
  lost = 0
  slowSince: number | undefined = undefined
  private readonly dial = Transport.Transport.defaultValue().dial

  readonly transport: Transport.Transport = {
    dial: (endpoint) =>
      Effect.suspend(() => {
        this.begun.push(performance.now())
        this.most = Math.max(this.most, ++this.underWay)
        return this.dial(endpoint).pipe(
          Effect.onExit((exit) => Effect.sync(() => void (Exit.isFailure(exit) && this.underWay--))),
          Effect.map((socket) => this.watch(socket))
        )
      })
  }

  private watch(socket: Socket.Socket): Socket.Socket {
    let answers = 0
    const over = (): void => {
      if (answers < ANSWERS) this.underWay--
      answers = ANSWERS
    }
    return {
      localPort: socket.localPort,
      remoteAddress: socket.remoteAddress,
      get pendingBytes() {
        return socket.pendingBytes
      },
      write: (bytes, done) => socket.write(bytes, done),
      destroy: () => socket.destroy(),
      start: (handlers) =>
        socket.start({
          onData: (bytes, view, length) => {
            if (answers === ANSWERS - 1) over()
            else answers++
            handlers.onData(bytes, view, length)
          },
          onClose: (error) => {
            over()
            if (++this.lost === LIMITS.slowStartAfter) this.slowSince = performance.now()
            handlers.onClose(error)
          }
        })
    }
  }
}

/** Dials that may have begun so many milliseconds after a slow start: a sixteenth of the rate, doubled with every second. */
const slowly = (millis: number): number => {
  const seconds = millis / 1_000
  const growing = Math.min(seconds, 4)
  return LIMITS.rate * ((2 ** growing - 1) / (16 * Math.LN2) + Math.max(0, seconds - 4))
}

const until = (what: string, condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < 6_000; i++) {
      if (condition()) return
      yield* Effect.sleep(10)
    }
    assert.fail(`never came true: ${what}`)
  })

describe("storm over sockets", () => {
  it.live(`${CLIENTS} clients, all ${NODES} nodes restarted`, () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: NODES, shards: SHARDS })
      const watched = new Watched()
      const limiter = ConnectLimiter.make(LIMITS)
      const scope = yield* Scope.make()
      const ticker = yield* Scope.provide(Ticker.make, scope)
      const start = performance.now()
      const pools = yield* Effect.forEach(
        Array.from({ length: CLIENTS * NODES }, (_, i) => cluster.nodes[i % NODES]!.address),
        (address) =>
          NodePool.make({
            address,
            port: cluster.port,
            reconnect: { base: 50, cap: 1_000 },
            shutdownTimeout: 0,
            session: { ticker, connectTimeout: 60_000, handshakeTimeout: 60_000 }
          }).pipe(
            Scope.provide(scope),
            Effect.provideService(Transport.Transport, watched.transport),
            Effect.provideService(ConnectLimiter.ConnectLimiter, limiter)
          )
      )
      const check = (since: number, allowed: (millis: number) => number): void => {
        for (const [i, at] of watched.begun.filter((at) => at >= since).entries()) {
          const most = allowed(at - since + EARLY)
          assert.isAtMost(i + 1, most + 1, `${i + 1} dials in ${(at - since).toFixed()} ms`)
        }
      }
      const open = () => cluster.nodes.reduce((sum, { connections }) => sum + connections.length, 0)

      yield* until("all are connected", () => pools.every((pool) => pool.isFull))
      assert.strictEqual(open(), CLIENTS * NODES * SHARDS)
      check(start, (millis) => LIMITS.burst + LIMITS.rate * millis / 1_000)
      assert.isAtMost(watched.most, LIMITS.concurrency)

      watched.most = 0
      const { length } = watched.begun
      yield* Effect.forEach(cluster.nodes, ({ index }) => cluster.stop(index), { concurrency: "unbounded" })
      yield* until("all are lost", () => pools.every((pool) => !pool.isUp))
      assert.isAtLeast(watched.lost, CLIENTS * NODES * SHARDS)
      yield* until("they try", () => pools.some((pool) => pool.stats.failures > 0))
      yield* Effect.forEach(cluster.nodes, ({ index }) => cluster.start(index), { concurrency: "unbounded" })
      yield* until("all are connected again", () => pools.every((pool) => pool.isFull))
      assert.isAtLeast(watched.begun.length - length, CLIENTS * NODES * SHARDS)
      // Those who had their turn before it was a mass reconnect begin as if it were none.
      check(watched.slowSince!, (millis) => LIMITS.concurrency + slowly(millis))
      assert.isAtMost(watched.most, LIMITS.concurrency)

      yield* Scope.close(scope, Exit.void)
      yield* until("nothing is left open", () => open() === 0)
      assert.strictEqual(watched.underWay, 0)
    }), 90_000)
})
