import { Scheduler } from "effect"

/**
 * An event loop that turns when the test says so: the scheduler that a client has, its immediates kept in a list. What a task
 * throws is noted, and the loop goes on, as in a process that bears an uncaught exception.
 */
export class Loop {
  /** What reached the top of a stack. */
  readonly thrown: Array<unknown> = []
  private due: Array<() => void> = []
  readonly scheduler: Scheduler.Scheduler = new Scheduler.MixedScheduler("async", (task) => {
    this.due.push(task)
    return () => {
      this.due = this.due.filter((other) => other !== task)
    }
  })

  /** Whether nothing is scheduled. */
  get isIdle(): boolean {
    return this.due.length === 0
  }

  /** One turn: what is scheduled meanwhile is the next one's. */
  turn(): void {
    for (const task of this.due.splice(0)) {
      try {
        task()
      } catch (error) {
        this.thrown.push(error)
      }
    }
  }

  /** As many turns as it takes; answers how many that were. */
  run(): number {
    let turns = 0
    for (; !this.isIdle; turns++) {
      if (turns === 1_000) throw new Error("the loop never ends")
      this.turn()
    }
    return turns
  }
}
