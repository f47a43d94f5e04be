/** What only etcd has or does, on a real one: lost volumes, backlogs, users, leases, transactions, locks, elections. */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import {
  Election,
  EtcdAdapter,
  Lock,
  RaftClient,
  RaftError,
  Transaction,
  Transport,
  type WatchEvent
} from "@effect-scylla/raft-client"
import * as Pb from "@effect-scylla/raft-client/generated/etcd/rpc_pb"
import * as EtcdServer from "@effect-scylla/testkit/EtcdServer"
import * as Ports from "@effect-scylla/testkit/Ports"
import type { RaftServer } from "@effect-scylla/testkit/RaftServer"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Option, Redacted, Stream } from "effect"
import { instead, raftServers } from "./raftServers.ts"
import { text } from "./raftWire.ts"

/** Waits for something to become true; fails after 20 seconds. */
const until = <E, R>(what: string, ready: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    for (let i = 0; i < 2_000; i++) {
      if (yield* ready) return
      yield* Effect.sleep(10)
    }
    assert.fail(`${what} did not come about in 20 seconds`)
  })

const connect = (server: Pick<RaftServer, "endpoints">, options: Partial<RaftClient.RaftClientOptions> = {}) =>
  RaftClient.make({
    endpoints: server.endpoints,
    adapter: EtcdAdapter.make(),
    electionTimeout: "200 millis",
    readyTimeout: "15 seconds",
    timeout: "5 seconds",
    ...options
  })

/** A put to a server that was just killed may be ambiguous. */
const surely = (client: RaftClient.RaftClient, key: string, value: string) =>
  client.put(key, value, { timeout: "15 seconds", idempotent: true }).pipe(RaftError.retry())

const one = EtcdServer.make({ nodes: 1, electionMillis: 200 })

interface Watched {
  readonly events: Array<WatchEvent.WatchEvent>
  /** What a consumer that folds the events holds. */
  readonly state: Map<string, string>
  readonly fiber: Fiber.Fiber<void, RaftError.RaftError>
}

const watching = Effect.fnUntraced(function*(stream: Stream.Stream<WatchEvent.WatchEvent, RaftError.RaftError>) {
  const watched: Watched = {
    events: [],
    state: new Map(),
    fiber: yield* Effect.forkScoped(
      Stream.runForEach(stream, (event) =>
        Effect.sync(() => {
          watched.events.push(event)
          if (event._tag === "Put") watched.state.set(text(event.key)!, text(event.value)!)
          if (event._tag === "Delete") watched.state.delete(text(event.key)!)
        })),
      { startImmediately: true }
    )
  }
  yield* until("the first state", Effect.sync(() => watched.events.some(({ _tag }) => _tag === "Synced")))
  return watched
})

const stateOf = (client: RaftClient.RaftClient, prefix: string) =>
  Effect.map(client.scan(prefix), ({ entries }) => new Map(entries.map(({ key, value }) => [text(key), text(value)])))

/** A bare call to one node. */
const admin = Effect.fnUntraced(function*<S extends DescMessage>(
  endpoint: string,
  path: string,
  schema: S,
  message: MessageInitShape<S>
) {
  const transport = yield* Transport.Transport
  const channel = yield* Effect.acquireRelease(
    Effect.sync(() => transport.open(endpoint, {})),
    (channel) => Effect.sync(channel.close)
  )
  assert.isUndefined(
    yield* Effect.callback<string | undefined>((resume) => {
      channel.connect(5_000, (error) => resume(Effect.succeed(error)))
    })
  )
  return yield* Effect.callback<Transport.Answer>((resume) => {
    channel.unary(path, toBinary(schema, create(schema, message)), 5_000, (answer) => resume(Effect.succeed(answer)))
  })
}, Effect.scoped)

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

/** Two users, root and one who may only see `/u/`; then authentication is on. */
const secure = Effect.fnUntraced(function*(endpoint: string) {
  const auth = <S extends DescMessage>(method: string, schema: S, message: MessageInitShape<S>) =>
    Effect.map(
      admin(endpoint, `/etcdserverpb.Auth/${method}`, schema, message),
      ({ code, details }) => assert.strictEqual(code, 0, details)
    )
  yield* auth("UserAdd", Pb.AuthUserAddRequestSchema, { name: "root", password: "secret" })
  yield* auth("RoleAdd", Pb.AuthRoleAddRequestSchema, { name: "root" })
  yield* auth("UserGrantRole", Pb.AuthUserGrantRoleRequestSchema, { user: "root", role: "root" })
  yield* auth("UserAdd", Pb.AuthUserAddRequestSchema, { name: "reader", password: "books" })
  yield* auth("RoleAdd", Pb.AuthRoleAddRequestSchema, { name: "u" })
  yield* auth("RoleGrantPermission", Pb.AuthRoleGrantPermissionRequestSchema, {
    name: "u",
    perm: { permType: Pb.Permission_Type.READWRITE, key: bytes("/u/"), rangeEnd: bytes("/u0") }
  })
  yield* auth("UserGrantRole", Pb.AuthUserGrantRoleRequestSchema, { user: "reader", role: "u" })
  yield* auth("AuthEnable", Pb.AuthEnableRequestSchema, {})
})

const login = (username: string, password: string) => ({ auth: { username, password: Redacted.make(password) } })

const etcd = raftServers.find(({ kind }) => kind === "etcd")!

if (etcd.missing !== undefined) instead("etcd alone", etcd.missing)
else {describe("etcd alone", () => {
    for (const nodes of [1, 3]) {
      it.live(
        `volumes of ${nodes} that come back empty: the watch says so, tells what is gone, and then every write`,
        () =>
          Effect.gen(function*() {
            const server = yield* EtcdServer.make({ nodes, electionMillis: 200 })
            const client = yield* connect(server)
            for (let i = 0; i < 60; i++) yield* client.put(`/w/${i % 3}`, `before ${i}`)
            const watched = yield* watching(client.watchPrefix("/w/"))
            yield* client.put("/w/late", "before")
            yield* until("its event", Effect.sync(() => watched.state.has("/w/late")))
            const seen = watched.events.at(-1)!
            for (const node of server.nodes) yield* node.kill
            for (const node of server.nodes) yield* Effect.andThen(node.wipe, node.start)
            // At once, while the watch is still on its way back.
            for (let i = 0; i < 30; i++) yield* surely(client, `/w/new${i}`, String(i))
            yield* until(
              "the present state",
              Effect.map(stateOf(client, "/w/"), (state) =>
                [...state].every(([key, value]) =>
                  watched.state.get(key!) === value
                ) &&
                state.size === watched.state.size)
            )
            assert.strictEqual(watched.state.size, 30)
            const resyncs = watched.events.filter((event) => event._tag === "Resync")
            assert.lengthOf(resyncs, 1)
            assert.strictEqual(resyncs[0]!.reason, "WentBack")
            assert.strictEqual(resyncs[0]!.seen, (seen as WatchEvent.Put).revision)
            assert.isTrue(resyncs[0]!.revision < resyncs[0]!.seen)
            const gone = watched.events.filter((event) => event._tag === "Delete").map(({ key }) => text(key))
            assert.sameMembers(gone, ["/w/0", "/w/1", "/w/2", "/w/late"])
            const told = watched.events.filter((event) => event._tag === "Put" && text(event.key)!.startsWith("/w/new"))
            assert.lengthOf(told, 30)
          }),
        60_000
      )
    }

    it.live("a volume that comes back empty while nobody writes", () =>
      Effect.gen(function*() {
        const server = yield* one
        const [node] = server.nodes
        const client = yield* connect(server)
        yield* client.put("/w/a", "1")
        const watched = yield* watching(client.watchPrefix("/w/"))
        yield* node!.kill
        yield* node!.wipe
        yield* node!.start
        yield* until("the loss", Effect.sync(() => watched.state.size === 0))
        assert.isTrue(watched.events.some((event) => event._tag === "Resync" && event.reason === "WentBack"))
      }), 60_000)

    it.live(
      "another cluster at the same endpoint ends watches and requests by OtherCluster",
      () =>
        Effect.gen(function*() {
          const ports = yield* Ports.reservePorts({ count: 2 })
          const first = yield* Effect.scoped(Effect.gen(function*() {
            const server = yield* EtcdServer.make({ nodes: 1, electionMillis: 200, ports })
            const context = yield* Effect.context<never>()
            const client = yield* connect(server, { timeout: "2 seconds" })
            yield* client.put("/w/a", "1")
            const watched = yield* watching(client.watchPrefix("/w/"))
            yield* server.nodes[0]!.kill
            yield* EtcdServer.make({ nodes: 1, electionMillis: 200, ports, clusterToken: "another" })
            const ended = yield* Effect.flip(Fiber.join(watched.fiber))
            const read = yield* Effect.flip(client.get("/w/a"))
            const write = yield* Effect.flip(client.put("/w/a", "2"))
            const other = yield* connect(server)
            const there = yield* other.get("/w/a")
            return { ended, read, write, there, context }
          }))
          assert.strictEqual(first.ended.reason._tag, "OtherCluster", first.ended.message)
          assert.strictEqual(first.read.reason._tag, "OtherCluster", first.read.message)
          assert.strictEqual(first.write.reason._tag, "OtherCluster", first.write.message)
          assert.strictEqual(first.write.outcome, "NotSent")
          assert.isTrue(Option.isNone(first.there))
        }),
      60_000
    )

    it.live(
      "a backlog and a first state of more than one message, with the default limits",
      () =>
        Effect.gen(function*() {
          const server = yield* one
          const writer = yield* connect(server)
          const big = (n: number): string => String(n % 10).repeat(1024 * 1024)
          for (let i = 0; i < 9; i++) yield* writer.put(`/big/${i}`, big(i))

          // The stream is opened when the backlog is there.
          const real = yield* Transport.Transport
          let release: (() => void) | undefined
          const held: Transport.Transport = {
            open: (address, options) => {
              const channel = real.open(address, options)
              return {
                ...channel,
                isReady: channel.isReady,
                connect: channel.connect,
                unary: channel.unary,
                close: channel.close,
                stream: (path, body, both, handlers) => {
                  let call: Transport.StreamCall | undefined
                  release = () => {
                    call ??= channel.stream(path, body, both, handlers)
                  }
                  // Its headers come later.
                  handlers.onOpen()
                  return {
                    write: (message) => call?.write(message),
                    pause: () => call?.pause(),
                    resume: () => call?.resume(),
                    cancel: () => call?.cancel()
                  }
                }
              }
            }
          }
          const client = yield* Effect.provideService(connect(server), Transport.Transport, held)
          const watched = yield* watching(client.watchPrefix("/big/"))
          assert.lengthOf([...watched.state.keys()], 9)
          for (let i = 0; i < 9; i++) yield* writer.put(`/big/${i}`, big(i + 1))
          yield* until("the stream", Effect.sync(() => release !== undefined))
          release!()
          yield* until("the backlog", Effect.sync(() => watched.state.get("/big/8")?.startsWith("9") === true))
          assert.isFalse(watched.events.some((event) => event._tag === "Resync"))
          for (let i = 0; i < 9; i++) assert.isTrue(watched.state.get(`/big/${i}`) === big(i + 1))

          const { entries, more } = yield* writer.scan("/big/")
          assert.deepStrictEqual([entries.length, more], [9, false])
          const some = yield* writer.scan("/big/", { limit: 2 })
          assert.deepStrictEqual([some.entries.map(({ key }) => text(key)), some.more], [["/big/0", "/big/1"], true])
          const pages = yield* Stream.runCollect(writer.scanPages("/big/", { pageSize: 4 }))
          assert.isTrue(pages.every(({ entries, revision }) => entries.length <= 4 && revision === pages[0]!.revision))
          const keys = Array.from({ length: 9 }, (_, i) => `/big/${i}`)
          assert.deepStrictEqual(pages.flatMap(({ entries }) => entries.map(({ key }) => text(key))), keys)
          const many = yield* writer.getMany([...keys, "/big/none"])
          assert.deepStrictEqual(many.map((value) => Option.isSome(value) ? value.value.length : 0), [
            ...keys.map(() => 1024 * 1024),
            0
          ])
          const streamed = yield* Stream.runCollect(writer.getManyStream([...keys, "/big/none"]))
          assert.deepStrictEqual(streamed.map(Option.isSome), [...keys.map(() => true), false])
        }),
      120_000
    )

    it.live(
      "a moment that is compacted while it is read page by page is said to be gone",
      () =>
        Effect.gen(function*() {
          const server = yield* one
          const client = yield* connect(server)
          for (let i = 0; i < 6; i++) yield* client.put(`/p/${i}`, "v")
          const error = yield* Effect.flip(Stream.runForEach(client.scanPages("/p/", { pageSize: 2 }), ({ revision }) =>
            Effect.gen(function*() {
              yield* client.put("/p/0", "w")
              const request = { revision: revision + 1n }
              yield* admin(server.endpoints[0]!, "/etcdserverpb.KV/Compact", Pb.CompactionRequestSchema, request)
            })))
          assert.strictEqual(error.reason._tag, "Compacted")
          assert.isTrue(error.isSafeToRetry)
          assert.lengthOf((yield* client.scan("/p/")).entries, 6)
        }),
      60_000
    )

    it.live("users: a password, a token that ends, rights, and none of them", () =>
      Effect.gen(function*() {
        const server = yield* one
        const [node] = server.nodes
        // Before there are users nobody asks who it is.
        const early = yield* connect(server, login("root", "secret"))
        yield* early.put("/u/a", "1")
        yield* secure(node!.endpoint)

        const nobody = yield* connect(server)
        const refused = yield* Effect.flip(nobody.put("/u/a", "2"))
        assert.strictEqual(refused.reason._tag, "PermissionDenied", refused.message)
        assert.match(refused.message, /user name is empty/)
        assert.strictEqual(refused.outcome, "Rejected")
        assert.strictEqual((yield* Effect.flip(nobody.get("/u/a"))).reason._tag, "PermissionDenied")
        const blind = yield* Effect.flip(Stream.runDrain(nobody.watchPrefix("/u/")))
        assert.strictEqual(blind.reason._tag, "PermissionDenied")

        const wrong = yield* Effect.flip(Effect.scoped(connect(server, login("root", "guess"))))
        assert.strictEqual(wrong.reason._tag, "PermissionDenied")
        assert.notInclude(wrong.message, "guess")

        // The one that came before has to log in now.
        yield* early.put("/u/a", "2")
        const client = yield* connect(server, login("reader", "books"))
        yield* client.put("/u/b", "1")
        assert.strictEqual(text(Option.getOrUndefined(yield* client.get("/u/a"))), "2")
        assert.strictEqual((yield* Effect.flip(client.get("/other"))).reason._tag, "PermissionDenied")
        const watched = yield* watching(client.watchPrefix("/u/"))
        const single = yield* watching(client.watch("/u/b"))
        assert.strictEqual(single.state.get("/u/b"), "1")
        const denied = yield* Effect.flip(Stream.runDrain(client.watchPrefix("/other/")))
        assert.strictEqual(denied.reason._tag, "PermissionDenied")

        // Tokens end with the process, as they do after a second without use.
        yield* node!.kill
        yield* node!.start
        yield* surely(client, "/u/b", "2")
        yield* until(
          "the event",
          Effect.sync(() => watched.state.get("/u/b") === "2" && single.state.get("/u/b") === "2")
        )

        // A token that is worth nothing any longer: first with a write, then with a stream, which etcd calls a want of rights.
        const real = yield* Transport.Transport
        let stale = ""
        const forgetting: Transport.Transport = {
          open: (address, options) =>
            real.open(address, {
              ...options,
              callMetadata: (path) => {
                if (stale === "" || !path.endsWith(stale)) return options.callMetadata?.(path)
                stale = ""
                return { token: Redacted.make("ended.1") }
              }
            })
        }
        const third = yield* Effect.provideService(
          connect(server, login("reader", "books")),
          Transport.Transport,
          forgetting
        )
        stale = "/Put"
        yield* third.put("/u/c", "1")
        assert.strictEqual(stale, "")
        stale = "/Watch"
        const late = yield* watching(third.watchPrefix("/u/"))
        yield* until("the stream", Effect.sync(() => stale === ""))
        yield* third.put("/u/c", "2")
        yield* until("its event", Effect.sync(() => late.state.get("/u/c") === "2"))
        assert.isFalse(late.events.some((event) => event._tag === "Resync"))
      }), 90_000)

    it.live(
      "a lease is renewed while it is held, revoked in the end, and its loss is told",
      () =>
        Effect.gen(function*() {
          const server = yield* one
          const client = yield* connect(server)
          yield* Effect.scoped(Effect.gen(function*() {
            const lease = yield* client.grantLease("2 seconds")
            yield* client.put("/l/a", "1", { lease })
            yield* Effect.sleep(lease.seconds * 2_000)
            assert.isTrue(Option.isSome(yield* client.get("/l/a")))
            assert.isTrue(yield* lease.isAlive)
          }))
          assert.isTrue(Option.isNone(yield* client.get("/l/a")), "revoked with its scope")

          const lease = yield* client.grantLease("2 seconds")
          yield* admin(server.endpoints[0]!, "/etcdserverpb.Lease/LeaseRevoke", Pb.LeaseRevokeRequestSchema, {
            ID: lease.id
          })
          assert.strictEqual((yield* lease.lost).reason._tag, "LeaseLost")
          assert.isFalse(yield* lease.isAlive)
          const late = yield* Effect.flip(client.put("/l/b", "1", { lease }))
          assert.deepStrictEqual([late.reason._tag, late.outcome], ["LeaseLost", "Rejected"])

          const stranded = yield* client.grantLease("2 seconds")
          yield* server.nodes[0]!.pause
          assert.strictEqual((yield* stranded.lost).reason._tag, "LeaseLost")
          yield* server.nodes[0]!.resume
        }),
      60_000
    )

    it.live("transactions", () =>
      Effect.gen(function*() {
        const server = yield* one
        const client = yield* connect(server)
        const { valueIs, get, isAbsent, isUnchanged, put, remove, wasCreatedAt } = Transaction
        const first = yield* client.transact({
          compare: [isAbsent("/t/a"), isAbsent("/t/b")],
          success: [put("/t/a", "1"), put("/t/b", "1")]
        })
        assert.isTrue(first.succeeded)
        const again = yield* client.transact({
          compare: [isAbsent("/t/a")],
          success: [put("/t/a", "2")],
          failure: [get("/t/a"), get("/t/none")]
        })
        assert.isFalse(again.succeeded)
        const [found, none] = again.results
        assert.isTrue(
          found?._tag === "Get" && text(found.entry?.value) === "1" && found.entry?.created === first.revision
        )
        assert.deepStrictEqual(none, { _tag: "Get", entry: undefined })
        const moved = yield* client.transact({
          compare: [valueIs("/t/a", "1"), wasCreatedAt("/t/a", first.revision), isUnchanged("/t/b", first.revision)],
          success: [remove("/t/a"), remove("/t/none"), put("/t/b", "2")]
        })
        assert.deepStrictEqual(moved.results, [
          { _tag: "Delete", deleted: 1 },
          { _tag: "Delete", deleted: 0 },
          { _tag: "Put" }
        ])
        assert.isTrue(moved.revision > first.revision)
        const late = yield* client.transact({
          compare: [isUnchanged("/t/b", first.revision)],
          success: [remove("/t/b")]
        })
        assert.isFalse(late.succeeded)
        const twice = yield* Effect.flip(
          client.transact({ compare: [], success: [put("/t/c", "1"), put("/t/c", "2")] })
        )
        assert.deepStrictEqual([twice.reason._tag, twice.outcome], ["InvalidRequest", "Rejected"])
      }), 60_000)

    it.live(
      "a lock has one holder at a time, in their order, with tokens that grow; losing it is told",
      () =>
        Effect.gen(function*() {
          const server = yield* one
          const client = yield* connect(server)
          const context = Context.make(RaftClient.RaftClient, client)
          let inside = 0
          const tokens: Array<bigint> = []
          const holder = Lock.withLock("/locks/job/", ({ token }) =>
            Effect.gen(function*() {
              assert.strictEqual(++inside, 1)
              tokens.push(token)
              yield* Effect.sleep(20)
              inside--
            }), { ttl: "3 seconds" }).pipe(Effect.provide(context))
          yield* Effect.forEach([1, 2, 3, 4, 5], () => holder, { concurrency: "unbounded" })
          assert.lengthOf(tokens, 5)
          assert.deepStrictEqual(tokens, tokens.toSorted((a, b) => Number(a - b)))
          assert.lengthOf((yield* client.scan("/locks/job/")).entries, 0)

          yield* Effect.scoped(Effect.gen(function*() {
            const held = yield* Lock.acquire("/locks/job/", { value: "me" })
            const waiting = yield* Effect.forkChild(Effect.scoped(Lock.acquire("/locks/job/")), {
              startImmediately: true
            })
            yield* until(
              "two in the line",
              Effect.map(client.scan("/locks/job/"), ({ entries }) => entries.length === 2)
            )
            yield* Fiber.interrupt(waiting)
            yield* until("one in it", Effect.map(client.scan("/locks/job/"), ({ entries }) => entries.length === 1))
            const write = (value: string) =>
              client.transact({ compare: [held.isHeld], success: [Transaction.put("/guarded", value)] })
            assert.isTrue((yield* write("1")).succeeded)
            yield* client.delete(held.key)
            assert.strictEqual((yield* held.lost).reason._tag, "LeaseLost")
            assert.isFalse((yield* write("2")).succeeded)
          })).pipe(Effect.provide(context))

          const lost = yield* Effect.flip(
            Lock.withLock("/locks/job/", ({ key }) => Effect.andThen(client.delete(key), Effect.never)).pipe(
              Effect.provide(context)
            )
          )
          assert.strictEqual(lost.reason._tag, "LeaseLost")
        }),
      60_000
    )

    it.live("a lock outlives the death of the server that led", () =>
      Effect.gen(function*() {
        const server = yield* EtcdServer.make({ nodes: 3, electionMillis: 200 })
        const client = yield* connect(server)
        const lease = yield* client.grantLease("2 seconds")
        const held = yield* Effect.provideService(
          Lock.acquire("/locks/job/", { ttl: "2 seconds" }),
          RaftClient.RaftClient,
          client
        )
        const lost = yield* Effect.forkScoped(Effect.raceFirst(held.lost, lease.lost))
        const leader = (yield* client.leader).address
        yield* server.nodes.find(({ endpoint }) => endpoint === leader)!.kill
        yield* until(
          "another leader",
          Effect.map(server.leader, (address) => address !== undefined && address !== leader)
        )
        // Twice the time that it has without being renewed.
        yield* Effect.sleep(lease.seconds * 2_000)
        assert.isUndefined(lost.pollUnsafe())
        assert.isTrue(yield* lease.isAlive)
        assert.isTrue(Option.isSome(yield* client.get(held.key)))
      }), 60_000)

    it.live(
      "an election: the next one leads when the first one goes, everybody sees who does",
      () =>
        Effect.gen(function*() {
          const server = yield* one
          const client = yield* connect(server)
          const context = Context.make(RaftClient.RaftClient, client)
          const seen: Array<string> = []
          yield* Effect.forkScoped(
            Stream.runForEach(Election.observe("/e/x/"), (leader) =>
              Effect.sync(() => {
                seen.push(Option.match(leader, { onNone: () => "nobody", onSome: ({ value }) => text(value)! }))
              })).pipe(Effect.provide(context))
          )
          yield* until("nobody", Effect.sync(() => seen.includes("nobody")))
          let second: bigint | undefined
          yield* Effect.scoped(Effect.gen(function*() {
            const first = yield* Election.campaign("/e/x/", "a")
            yield* until("a", Effect.sync(() => seen.includes("a")))
            const next = yield* Effect.forkDetach(
              Effect.scoped(Effect.gen(function*() {
                const office = yield* Election.campaign("/e/x/", "b")
                second = office.token
                yield* until("b", Effect.sync(() => seen.includes("b")))
              })).pipe(Effect.provide(context))
            )
            yield* first.proclaim("a2")
            yield* until("a2", Effect.sync(() => seen.includes("a2")))
            assert.strictEqual(Option.getOrThrow(yield* Election.leader("/e/x/")).token, first.token)
            assert.isUndefined(second)
            return { first, next }
          })).pipe(
            Effect.flatMap(({ first, next }) =>
              Effect.gen(function*() {
                yield* Fiber.join(next)
                assert.isTrue(second! > first.token)
                const late = yield* Effect.flip(first.proclaim("a3"))
                assert.strictEqual(late.reason._tag, "LeaseLost")
              })
            ),
            Effect.provide(context)
          )
          yield* until("nobody again", Effect.sync(() => seen.at(-1) === "nobody"))
          assert.deepStrictEqual(seen.filter((value, i) => value !== seen[i - 1]), ["nobody", "a", "a2", "b", "nobody"])
        }),
      60_000
    )
  })}
