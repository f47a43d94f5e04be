/** Ways to break a pool, each of which the simulation has to notice. They show that its checks bite. */
import { Admission } from "@effect-scylla/pool/Admission"
import { Connection } from "@effect-scylla/pool/Connection"
import { NodePool } from "@effect-scylla/pool/NodePool"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { Effect } from "effect"
import { SlotTable } from "../../src/internal/slotTable.ts"
import { ChaosRequest } from "./request.ts"

/** What is behind `private`. */
type Open = Record<string, any>

export interface Mutant {
  readonly name: string
  /** Breaks it; answers how to mend it. */
  readonly apply: () => () => void
}

/** Replaces a method; the new one is given the old one. */
const replace = (
  prototype: object,
  method: string,
  by: (original: (...args: Array<unknown>) => unknown) => (this: Open, ...args: Array<any>) => unknown
): () => void => {
  const target = prototype as Open
  const original = target[method]
  target[method] = by(original)
  return () => {
    target[method] = original
  }
}

const ticker: object = Object.getPrototypeOf(Effect.runSync(Effect.scoped(Ticker.make)))

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "what is in flight is not told to the ticker",
    apply: () =>
      replace(Connection.prototype, "count", () =>
        function(more) {
          this["inFlightCount"] += more
        })
  },
  {
    name: "what is in flight is still counted by the ticker when its connection is gone",
    apply: () =>
      replace(Connection.prototype, "fail", (original) =>
        function(reason) {
          const { inFlightCount } = this
          const isFirst = this["reason"] === undefined
          original.call(this, reason)
          if (isFirst) this["ticker"].inFlight += inFlightCount
        })
  },
  {
    name: "a request is sent although it was abandoned before its stage",
    apply: () =>
      replace(ChaosRequest.prototype, "send", () =>
        function() {
          this["attempt"]()
        })
  },
  {
    name: "a caller goes on with an answer although it was interrupted before its stage",
    apply: () =>
      replace(ChaosRequest.prototype, "resume", () =>
        function() {
          this["isResuming"] = false
          if (this["settle"]("answered")) this["onAnswered"]?.()
        })
  },
  {
    name: "the second half of a large turn is not resumed",
    apply: () =>
      replace(ticker, "resumeSome", (original) =>
        function(resumes, from, to) {
          if (from === 0) original.call(this, resumes, from, to)
        })
  },
  {
    name: "what was to be flushed is forgotten with the early flush",
    apply: () =>
      replace(ticker, "flushSome", (original) =>
        function(dirty, early) {
          original.call(this, dirty, early)
          if (early) this["dirty"] = []
        })
  },
  {
    name: "an abandoned id is free at once",
    apply: () =>
      replace(Connection.prototype, "abandon", (original) =>
        function(id, handler) {
          const had = this["handlers"][id] === handler && this["reason"] === undefined
          original.call(this, id, handler)
          if (!had || this["reason"] !== undefined) return
          this["handlers"][id] = undefined
          this["deadlines"][id] = 0
          this["orphans"]--
          this["ids"].release(id)
        })
  },
  {
    name: "the id of an orphan is never free again",
    apply: () =>
      replace(Connection.prototype, "take", (original) =>
        function(stream) {
          const before = this["orphans"]
          const handler = original.call(this, stream)
          if (this["orphans"] < before) this["ids"].acquire()
          return handler
        })
  },
  {
    name: "answers that nobody asked for are ignored",
    apply: () => replace(Connection.prototype, "unasked", () => () => {})
  },
  {
    name: "a connection that dies says that nothing was sent",
    apply: () =>
      replace(Connection.prototype, "fail", (original) =>
        function(reason) {
          this["unsent"] = Int16Array.from(this["handlers"].keys())
          this["unsentCount"] = this["unsent"].length
          original.call(this, reason)
        })
  },
  {
    name: "a connection that dies does not tell its requests",
    apply: () =>
      replace(Connection.prototype, "fail", (original) =>
        function(reason) {
          if (this["reason"] === undefined && !this["handshaking"]) this["handlers"] = []
          original.call(this, reason)
        })
  },
  {
    name: "what is written in the middle of a read is written again at its end",
    apply: () =>
      replace(Connection.prototype, "onFrame", (original) =>
        function(...args) {
          const { out } = this
          const { flush } = this
          this["flush"] = () => {
            const again = Uint8Array.from(out.bytes.subarray(0, out.pos))
            flush.call(this)
            if (this["out"].pos === 0 && this["reason"] === undefined) this["out"].raw(again)
          }
          try {
            original.apply(this, args)
          } finally {
            delete this["flush"]
          }
        })
  },
  {
    name: "what is written in the middle of a read is lost",
    apply: () =>
      replace(Connection.prototype, "onFrame", (original) =>
        function(...args) {
          this["flush"] = () => {
            this["out"].reset()
            this["unsentCount"] = 0
          }
          try {
            original.apply(this, args)
          } finally {
            delete this["flush"]
          }
        })
  },
  {
    name: "a closed connection is taken out by its shard",
    apply: () =>
      replace(SlotTable.prototype, "remove", (original) =>
        function(connection, reason, now) {
          const at = this["anyShard"] ? 0 : connection.shard * this["size"]
          if (!this["slots"].includes(connection)) this["slots"][at] = undefined
          return original.call(this, connection, reason, now)
        })
  },
  {
    name: "excess is forgotten instead of closed",
    apply: () => replace(NodePool.prototype, "retire", () => () => {})
  },
  {
    name: "excess is closed while a connection is still to be replaced",
    apply: () => {
      const original = Object.getOwnPropertyDescriptor(SlotTable.prototype, "isSettled")!
      const isFull = Object.getOwnPropertyDescriptor(SlotTable.prototype, "isFull")!
      Object.defineProperty(SlotTable.prototype, "isSettled", isFull)
      return () => void Object.defineProperty(SlotTable.prototype, "isSettled", original)
    }
  },
  {
    name: "a silent connection is picked",
    apply: () => {
      const original = Object.getOwnPropertyDescriptor(Connection.prototype, "isAvailable")!
      const hasRoom = Object.getOwnPropertyDescriptor(Connection.prototype, "hasRoom")!
      Object.defineProperty(Connection.prototype, "isAvailable", hasRoom)
      return () => void Object.defineProperty(Connection.prototype, "isAvailable", original)
    }
  },
  {
    name: "who waits although nothing is heard is forgotten when the connections are gone",
    apply: () =>
      replace(NodePool.prototype, "checkUp", (original) =>
        function(reason) {
          if (this["isUp"] !== this["wasUp"]) original.call(this, reason)
        })
  },
  {
    name: "a waiter never expires",
    apply: () =>
      replace(Admission.prototype, "onTick", () =>
        function() {
          return this["size"] > 0
        })
  },
  {
    name: "who came last is let in first",
    apply: () =>
      replace(Admission.prototype, "admit", () =>
        function() {
          while (this["last"] !== undefined) {
            const connection = this["room"]()
            if (connection === undefined) return
            const entry = this["last"]
            this["remove"](entry)
            entry.waiter.onAdmitted(connection)
          }
        })
  },
  {
    name: "who waits is forgotten when the node goes down",
    apply: () =>
      replace(Admission.prototype, "refuse", () =>
        function() {
          this["first"] = undefined
          this["last"] = undefined
          this["size"] = 0
        })
  }
]
