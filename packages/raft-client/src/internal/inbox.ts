/** A stream that plain code fills and an effect empties; when it is full, the server is held back. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Answer, Channel, StreamCall } from "../Channel.ts"
import type { StreamSpec } from "../ClusterAdapter.ts"

const FULL = 1024

export class Inbox<A> {
  private messages: Array<ReadonlyArray<A>> = []
  private count = 0
  private paused = false
  private poked = false
  private call: StreamCall | undefined
  private wake: (() => void) | undefined
  opened = false
  ended: Answer | undefined
  /** Bytes that are no message: the stream is given up. */
  broken: string | undefined
  /** Something has come since this was last set to false. */
  heard = false

  constructor(channel: Channel, spec: StreamSpec<A>) {
    this.call = channel.stream(spec.path, spec.body, spec.both, {
      onOpen: () => {
        this.opened = true
        this.notify()
      },
      onMessage: (body) => {
        this.opened = true
        this.heard = true
        try {
          const items = spec.decode(body)
          this.messages.push(items)
          this.count += items.length
        } catch (error) {
          this.broken ??= error instanceof Error ? error.message : String(error)
        }
        if (this.count >= FULL && !this.paused) {
          this.paused = true
          this.call?.pause()
        }
        this.notify()
      },
      onEnd: (answer) => {
        this.ended ??= answer
        this.notify()
      }
    })
  }

  get isOver(): boolean {
    return this.ended !== undefined || this.broken !== undefined
  }

  get isEmpty(): boolean {
    return this.messages.length === 0
  }

  private notify(): void {
    const { wake } = this
    this.wake = undefined
    wake?.()
  }

  /** The messages so far. */
  drain(): ReadonlyArray<ReadonlyArray<A>> {
    const out = this.messages
    this.messages = []
    this.count = 0
    if (this.paused) {
      this.paused = false
      this.call?.resume()
    }
    return out
  }

  /** Waits for a message, the end, or a poke. */
  readonly next = (millis: number): Effect.Effect<boolean> =>
    Effect.map(this.until(() => this.messages.length > 0 || this.isOver || this.poked, millis), (came) => {
      this.poked = false
      return came
    })

  /** There is something else to look at. */
  readonly poke = (): void => {
    this.poked = true
    this.notify()
  }

  write(body: Uint8Array): void {
    if (!this.isOver) this.call?.write(body)
  }

  /** Waits until `ready` holds after something has happened, at most `millis`. */
  readonly until = (ready: () => boolean, millis: number): Effect.Effect<boolean> => {
    const wait: Effect.Effect<boolean> = Effect.callback<boolean>((resume) => {
      const look = (): void => {
        if (ready()) resume(Effect.succeed(true))
        else this.wake = look
      }
      look()
      return Effect.sync(() => {
        this.wake = undefined
      })
    })
    return Effect.map(Effect.timeoutOption(wait, millis), Option.getOrElse(() => false))
  }

  close(): void {
    this.call?.cancel()
    this.call = undefined
  }
}
