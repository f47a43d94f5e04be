/** A process of its own that answers questions, one at a time, over the channel that `fork` makes. */
import { type ChildProcess, fork } from "node:child_process"

interface Reply {
  readonly value?: unknown
  readonly error?: string
}

export class Child {
  private readonly process: ChildProcess
  private readonly ended: Promise<void>
  private hasEnded = false

  constructor(module: string, ...args: ReadonlyArray<string>) {
    this.process = fork(new URL(module, import.meta.url).pathname, args, {
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
    this.ended = new Promise((resolve) =>
      this.process.once("exit", () => {
        this.hasEnded = true
        resolve()
      })
    )
  }

  /** Asks, and waits for the answer; rejects where there is none in time. */
  ask<A>(question: object, seconds: number): Promise<A> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        settle()
        reject(new Error(`${JSON.stringify(question)}: ${why}`))
      }
      const timer = setTimeout(() => fail(`no answer in ${seconds} s`), seconds * 1000)
      const onExit = (): void => fail("the process has ended, see what it printed")
      const onReply = ({ error, value }: Reply): void => {
        if (error !== undefined) return fail(error)
        settle()
        resolve(value as A)
      }
      const settle = (): void => {
        clearTimeout(timer)
        this.process.off("message", onReply).off("exit", onExit)
      }
      if (this.hasEnded) return onExit()
      this.process.on("message", onReply).on("exit", onExit)
      this.process.send(question)
    })
  }

  /** Lets it go, and waits until it has tidied up. */
  async end(): Promise<void> {
    if (this.process.connected) this.process.disconnect()
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 30_000)
    await this.ended
    clearTimeout(timer)
  }
}

/** In the child: answers until the parent lets go. */
export const answer = <Q>(respond: (question: Q) => Promise<unknown>): Promise<void> => {
  process.on("message", (question: Q) => {
    const reply = (value: Reply): void => void (process.connected && process.send!(value))
    respond(question).then(
      (value) => reply({ value }),
      (error: unknown) => reply({ error: error instanceof Error ? error.stack ?? error.message : String(error) })
    )
  })
  return new Promise((resolve) => process.once("disconnect", resolve))
}
