/** One connection by way of the fault proxy: two flows of bytes, and what may be done to them. */
import type { Buffer } from "node:buffer"
import type * as Net from "node:net"

/** How bytes pass for the time being. */
export type Weather =
  | { readonly _tag: "Pass" }
  | { readonly _tag: "Refuse" }
  | { readonly _tag: "Hold" }
  | { readonly _tag: "Delay"; readonly minMillis: number; readonly maxMillis: number }
  | { readonly _tag: "Drip"; readonly bytes: number; readonly everyMillis: number }

/** What is done to a connection once. */
export type Blow = "Cut" | "Reset" | "Tear" | "Truncate" | "HalfOpen"

/** A receiver that does not read is not sent more than this; then the sender is not read either. */
const MAX_UNSENT = 1024 * 1024

/** A whole number below `bound`. */
export type Draw = (bound: number) => number

/** Bytes in one direction, in order. */
class Flow {
  weather: Weather
  /** The next bytes pass in part; then this is called. */
  torn: (() => void) | undefined = undefined
  private readonly from: Net.Socket
  private readonly to: Net.Socket
  private readonly draw: Draw
  private waiting: Array<Buffer> = []
  private hasEnded = false
  private timer: ReturnType<typeof setTimeout> | undefined = undefined
  private isOver = false

  constructor(from: Net.Socket, to: Net.Socket, weather: Weather, draw: Draw) {
    this.from = from
    this.to = to
    this.weather = weather
    this.draw = draw
    from.on("data", (bytes: Buffer) => {
      if (this.isOver) return
      this.waiting.push(bytes)
      this.pump()
    })
    from.on("end", () => {
      this.hasEnded = true
      this.pump()
    })
    to.on("drain", () => this.pump())
  }

  change(weather: Weather): void {
    this.weather = weather
    clearTimeout(this.timer)
    this.timer = undefined
    this.pump()
  }

  /** From now on what comes is read and dropped. */
  swallow(): void {
    this.isOver = true
    clearTimeout(this.timer)
    this.waiting = []
    this.from.resume()
  }

  private pump(): void {
    if (this.isOver || this.timer !== undefined) return
    const { weather } = this
    if (weather._tag === "Hold") {
      this.from.pause()
      return
    }
    if (weather._tag === "Delay" && this.waiting.length > 0) {
      const { maxMillis, minMillis } = weather
      return this.later(minMillis + this.draw(maxMillis - minMillis + 1), () => this.pass(Infinity))
    }
    if (weather._tag === "Drip" && this.waiting.length > 0) {
      return this.later(weather.everyMillis, () => this.pass(weather.bytes))
    }
    this.pass(Infinity)
  }

  private later(millis: number, task: () => void): void {
    this.timer = setTimeout(() => {
      this.timer = undefined
      task()
      if (this.waiting.length > 0) this.pump()
    }, millis)
  }

  /** Lets so many of the bytes through that wait. */
  private pass(most: number): void {
    for (let left = most; left > 0 && this.waiting.length > 0;) {
      const [first] = this.waiting as [Buffer]
      let size = Math.min(left, first.length)
      const { torn } = this
      // At least one byte passes and one does not, wherever that is.
      if (torn !== undefined) size = Math.min(size, first.length < 2 ? 0 : 1 + this.draw(first.length - 1))
      this.to.write(first.subarray(0, size))
      if (torn !== undefined) {
        this.torn = undefined
        this.isOver = true
        return torn()
      }
      if (size === first.length) this.waiting.shift()
      else this.waiting[0] = first.subarray(size)
      left -= size
    }
    if (this.to.writableLength > MAX_UNSENT) this.from.pause()
    else this.from.resume()
    if (this.hasEnded && this.waiting.length === 0) this.to.end()
  }
}

/** Both directions of one connection. */
export class Link {
  private readonly client: Net.Socket
  private readonly server: Net.Socket
  private readonly up: Flow
  private readonly down: Flow

  constructor(client: Net.Socket, server: Net.Socket, weather: Weather, draw: Draw, over: (link: Link) => void) {
    this.client = client
    this.server = server
    this.up = new Flow(client, server, weather, draw)
    this.down = new Flow(server, client, weather, draw)
    // What one side does to its socket is done to the other's.
    server.on("error", () => client.resetAndDestroy())
    client.on("error", () => server.resetAndDestroy())
    client.on("close", () => {
      server.destroy()
      this.stop()
      over(this)
    })
  }

  change(weather: Weather): void {
    this.up.change(weather)
    this.down.change(weather)
  }

  strike(blow: Blow): void {
    switch (blow) {
      case "Cut":
        this.stop()
        this.server.destroy()
        this.client.end()
        return
      case "Reset":
        this.destroy()
        return
      case "Tear":
        this.down.torn = () => {
          this.stop()
          this.server.resetAndDestroy()
          // Bytes that still wait here would be lost with the reset.
          this.client.write("", () => this.client.resetAndDestroy())
        }
        return
      case "Truncate":
        this.down.torn = () => {
          this.stop()
          this.server.resetAndDestroy()
          this.client.end()
        }
        return
      case "HalfOpen":
        this.stop()
        this.server.removeAllListeners("error").on("error", () => undefined)
        this.server.destroy()
    }
  }

  private stop(): void {
    this.up.swallow()
    this.down.swallow()
  }

  /** Resets both sides. */
  destroy(): void {
    this.stop()
    this.server.resetAndDestroy()
    this.client.resetAndDestroy()
  }
}
