import { assert, describe, it } from "@effect/vitest"
import { Liveness, type Step } from "../src/internal/liveness.ts"

/** What happens in a tick, before its step. */
type Event =
  /** A request is sent: the only one in flight. */
  | "send"
  /** Its answer comes. */
  | "answer"
  /** It is given up. */
  | "give up"
  /** An answer of another request, or an event. */
  | "bytes"
  /** The answer to the heartbeat. */
  | "beaten"
  /** The time of a request is over. */
  | "miss"
  /** The process was stopped for 10 seconds before. */
  | "stop"

/** A peer, a tick at a time; steps that ask for something are carried out. */
class Peer {
  now = 100
  readonly liveness: Liveness
  inFlight = false
  /** When it has come back. */
  readonly back: Array<number> = []
  private id = 0

  constructor(patience: { readonly silence?: number; readonly grace?: number } = {}) {
    this.liveness = new Liveness({ silence: 200, grace: 300, idle: 30_000, ...patience }, this.now)
    this.liveness.begin(this.now)
  }

  private read(): void {
    if (this.liveness.read(this.now)) this.back.push(this.now - 100)
  }

  tell(event: Event): void {
    const { liveness } = this
    switch (event) {
      case "send":
        if (!liveness.isOwing) liveness.owes(++this.id, this.now, !this.inFlight)
        this.inFlight = true
        break
      case "answer":
        this.read()
        if (liveness.timed === this.id) liveness.timedOne(this.now)
        this.inFlight = false
        if (liveness.answered()) this.back.push(this.now - 100)
        break
      case "give up":
        this.inFlight = false
        break
      case "bytes":
        this.read()
        break
      case "beaten":
        this.read()
        liveness.beaten()
        break
      case "miss":
        liveness.missed()
        break
      case "stop":
        this.now += 100
    }
  }

  step(): Step {
    const { liveness } = this
    const step = liveness.step(this.now, this.inFlight)
    if (step === "beat") liveness.beat(this.now)
    if (step === "ask") liveness.ask(this.now)
    return step
  }
}

interface Row {
  readonly name: string
  readonly patience?: { readonly silence?: number; readonly grace?: number }
  /** By tick; the first one is 1. */
  readonly events: Readonly<Record<number, ReadonlyArray<Event>>>
  readonly ticks: number
  /** What is asked for, by tick. */
  readonly steps: Readonly<Record<number, Step>>
  readonly silent: boolean
  readonly deaf?: boolean
  readonly back?: ReadonlyArray<number>
}

/** The same events every so many ticks. */
const every = (ticks: number, until: number, events: ReadonlyArray<Event>, from = ticks): Row["events"] =>
  Object.fromEntries(
    Array.from({ length: Math.floor((until - from) / ticks) + 1 }, (_, i) => [from + i * ticks, events])
  )

const rows: ReadonlyArray<Row> = [
  { name: "nothing is in flight: asked after the interval only", events: {}, ticks: 299, steps: {}, silent: false },
  { name: "nothing is in flight, for the interval", events: {}, ticks: 302, steps: { 300: "beat" }, silent: false },
  {
    name: "nothing is in flight, and the heartbeat is not answered",
    events: {},
    ticks: 310,
    steps: { 300: "beat", 303: "aside" },
    silent: true
  },
  {
    name: "silent with a request in flight: asked after 200 ms, aside 300 ms later, once",
    events: { 1: ["send"] },
    ticks: 60,
    steps: { 3: "beat", 6: "aside" },
    silent: true
  },
  {
    name: "the first byte brings it back",
    events: { 1: ["send"], 20: ["bytes"] },
    ticks: 20,
    steps: { 3: "beat", 6: "aside" },
    silent: false,
    back: [20]
  },
  {
    name:
      "heartbeats are answered, the request is slow: not aside, and asked again after twice the time, up to 2 seconds",
    events: { 1: ["send"], 4: ["beaten"], 9: ["beaten"], 18: ["beaten"], 35: ["beaten"], 56: ["beaten"] },
    ticks: 76,
    steps: { 3: "beat", 8: "beat", 17: "beat", 34: "beat", 55: "beat", 76: "beat" },
    silent: false
  },
  {
    name: "bytes after the heartbeat was sent are no answer for ever: quiet again, it is asked again and aside",
    events: { 1: ["send"], 3: ["send"], 4: ["bytes"] },
    ticks: 40,
    steps: { 3: "beat", 6: "beat", 9: "aside" },
    silent: true
  },
  {
    name: "requests that are given up at once are owed all the same",
    events: every(1, 20, ["send", "give up"]),
    ticks: 20,
    steps: { 3: "beat", 6: "aside" },
    silent: true
  },
  {
    name: "answers, and those to heartbeats, usually take 400 ms: three times as long is no silence",
    events: { 1: ["send"], 5: ["answer", "send"], 9: ["answer", "send"], 13: ["answer", "send"], 25: ["answer"] },
    ticks: 30,
    steps: { 3: "beat", 7: "beat", 11: "beat", 15: "beat" },
    silent: false
  },
  {
    name: "answers usually take 400 ms, and then none comes: aside after three times as long",
    events: { 1: ["send"], 5: ["answer", "send"], 9: ["answer", "send"] },
    ticks: 60,
    steps: { 3: "beat", 7: "beat", 11: "beat", 23: "aside" },
    silent: true
  },
  {
    name: "answers usually take 1.5 seconds: it is not waited for longer than 2 seconds",
    patience: { grace: 1_600 },
    events: { 1: ["send"], 16: ["answer", "send"], 31: ["answer", "send"] },
    ticks: 100,
    steps: { 3: "beat", 18: "beat", 33: "beat", 53: "aside" },
    silent: true
  },
  {
    name: "silence of 4 seconds is not learned as usual",
    events: { 1: ["send"], 41: ["answer", "send"] },
    ticks: 100,
    steps: { 3: "beat", 6: "aside", 43: "beat", 46: "aside" },
    silent: true,
    back: [41]
  },
  {
    name: "with limits of its own",
    patience: { silence: 1_000, grace: 2_000 },
    events: { 1: ["send"] },
    ticks: 40,
    steps: { 11: "beat", 31: "aside" },
    silent: true
  },
  {
    name: "this process is stopped while a heartbeat is under way: its answer has the time that it has",
    events: { 1: ["send"], 4: ["stop"], 6: ["beaten"] },
    ticks: 6,
    steps: { 3: "beat" },
    silent: false
  },
  {
    name: "this process is stopped, and the peer says nothing afterwards either",
    events: { 1: ["send"], 4: ["stop"] },
    ticks: 20,
    steps: { 3: "beat", 6: "aside" },
    silent: true
  },
  {
    name: "this process is stopped with a request in flight: asked, and not aside",
    events: { 1: ["send"], 2: ["stop"], 4: ["answer"] },
    ticks: 6,
    steps: { 2: "beat" },
    silent: false
  },
  {
    name:
      "three requests in a row are overdue, heartbeats are answered: asked a question, aside without an answer, asked again",
    events: { 1: ["send", "bytes", "miss"], 2: ["bytes", "miss"], 3: ["bytes", "miss"], ...every(1, 30, ["bytes"], 4) },
    ticks: 30,
    steps: { 3: "ask", 6: "aside", 13: "ask", 23: "ask" },
    silent: true,
    deaf: true
  },
  {
    name: "deaf, and back with the answer to a request, not with bytes",
    events: { 1: ["miss", "miss", "miss", "bytes"], ...every(1, 8, ["bytes"], 2), 9: ["answer"] },
    ticks: 12,
    steps: { 1: "ask", 4: "aside" },
    silent: false,
    back: [9]
  },
  {
    name: "the question is answered in time",
    events: { 1: ["miss", "miss", "miss", "bytes"], 3: ["answer"] },
    ticks: 20,
    steps: { 1: "ask" },
    silent: false
  },
  {
    name: "an answer in between: not in a row",
    events: { 1: ["miss", "miss", "bytes", "answer", "miss", "miss"] },
    ticks: 20,
    steps: {},
    silent: false
  },
  {
    name: "deaf, and then not even heartbeats are answered: silent, and back with the first byte",
    events: { 1: ["send", "miss", "miss", "miss", "bytes"], 3: ["bytes"], 20: ["bytes"] },
    ticks: 20,
    steps: { 1: "ask", 4: "aside", 5: "beat", 20: "ask" },
    silent: false,
    back: [20]
  }
]

describe("Liveness", () => {
  for (const { back = [], deaf = false, events, name, patience, silent, steps, ticks } of rows) {
    it(`${name}`, () => {
      const peer = new Peer(patience)
      const seen: Record<number, Step> = {}
      for (let tick = 1; tick <= ticks; tick++) {
        peer.now++
        for (const event of events[tick] ?? []) peer.tell(event)
        const step = peer.step()
        if (step !== "none") seen[tick] = step
      }
      assert.deepStrictEqual(seen, steps)
      assert.strictEqual(peer.liveness.isSilent, silent)
      assert.strictEqual(peer.liveness.isDeaf, deaf)
      assert.deepStrictEqual(peer.back.map((at) => at % 100), back)
    })
  }
})
